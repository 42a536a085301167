"""The importer `asap_pickle`: retargeted G1 motions of ASAP, PBHC and HumanoidVerse."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mtrack.errors import MotionError
from mtrack.exchange import Clip
from mtrack.fields import component, param
from mtrack.math import quat_conjugate, quat_from_rotation_vector, quat_multiply, quat_to_rotation_vector
from mtrack_formats.joints import G1_23, G1_29, WRISTS, axis_of
from mtrack_formats.restricted import is_pickle, read_pickle
from mtrack_motion.clip import check_clip, check_upright, single, unit_quaternions

log = logging.getLogger(__name__)

_KEYS = ("root_trans_offset", "root_rot", "dof")
_AGREES = 0.02  # rad; files of these projects agree to 1e-6, those of another order differ by whole poses
_MOVES = 0.05  # rad
_XYZW_TO_WXYZ = [3, 0, 1, 2]

Table = NDArray[np.float64]


@component
class AsapPickle:
    """Pickles of ASAP, PBHC and HumanoidVerse (joblib or plain): 23 or 29 joints of the G1."""

    fps: float | None = param(default=None)
    """Frame rate to use instead of the one in the file [1/s]."""
    fill_missing: bool = param(default=False)
    """Whether the six wrist joints, which these files lack, are held at 0."""

    def recognises(self, path: Path) -> str:
        """Return what was found, in words, or an empty string if the file is of another format."""
        if not is_pickle(path):
            return ""
        try:
            motions = _motions(read_pickle(path), path)
        except MotionError:
            return "a pickle, the reading of which says more"
        return f"ASAP pickle, {len(motions)} motion{'s' if len(motions) != 1 else ''}" if motions else ""

    def clips(self, path: Path) -> Iterator[Clip]:
        """Yield the clips of a file; what is assumed is logged. Raises MotionError naming file, place and remedy."""
        motions = _motions(read_pickle(path), path)
        if not motions:
            raise MotionError(f"{path}: holds no motion with {', '.join(_KEYS)}; choose another --format")
        for key, motion in motions.items():
            name = path.stem if len(motions) == 1 else key
            yield self._clip(name, motion, f"{path}: motion '{key}'" if key.isprintable() else str(path), path)

    def _clip(self, name: str, motion: Mapping[object, object], place: str, path: Path) -> Clip:
        dof = _table(motion, "dof", (len(G1_23), len(G1_29)), place)
        known = G1_23 if dof.shape[1] == len(G1_23) else G1_29
        log.info("assumed: the %d joints are in the order %s", len(known), ", ".join(known))
        quat = _checked_rotation(_table(motion, "root_rot", (4,), place), motion, place)
        _check_joint_order(dof, known, motion, place)
        source = path.name
        if known == G1_23:
            if not self.fill_missing:
                raise MotionError(f"{place}: has no {', '.join(WRISTS)}; hold them at 0 with --fill-missing")
            log.warning("filled with 0: %s", ", ".join(WRISTS))
            source += f"; filled with 0: {', '.join(WRISTS)}"
        joint_pos = np.zeros((len(dof), len(G1_29)))
        joint_pos[:, [G1_29.index(joint) for joint in known]] = dof
        clip = Clip(
            name=name,
            fps=self._rate(motion, place),
            joint_names=G1_29,
            root_pos=single(_table(motion, "root_trans_offset", (3,), place)),
            root_quat_wxyz=unit_quaternions(quat),
            joint_pos=single(joint_pos),
            source=source,
        )
        check_clip(clip, place)
        check_upright(clip, place)
        return clip

    def _rate(self, motion: Mapping[object, object], place: str) -> float:
        if self.fps is not None:
            log.warning("assumed: %g frames a second, as given, whatever the file says", self.fps)
            return self.fps
        value = motion.get("fps")
        if isinstance(value, (np.ndarray, np.generic)) and value.size == 1 and value.dtype.kind in "iuf":
            value = value.item()
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise MotionError(f"{place}: has no frame rate 'fps'; give it with --fps")
        log.info("frame rate from the file: %g frames a second", float(value))
        return float(value)


def _motions(content: object, path: Path) -> dict[str, Mapping[object, object]]:
    """Return the motions of a file by name: it holds several by name, or is one."""
    if not isinstance(content, dict):
        return {}
    if all(key in content for key in _KEYS):
        return {path.stem: content}
    return {
        str(name): motion
        for name, motion in content.items()
        if isinstance(motion, dict) and all(key in motion for key in _KEYS)
    }


def _table(motion: Mapping[object, object], key: str, widths: tuple[int, ...], place: str) -> Table:
    """Return an entry as a table with one of the given widths. Raises MotionError."""
    value = motion[key]
    table = value if isinstance(value, np.ndarray) else _from_rows(value, widths)
    if table is not None and table.ndim == 3 and table.shape[2] == 1:
        table = table[..., 0]
    if table is None or table.ndim != 2 or table.dtype.kind not in "iuf" or table.shape[1] not in widths:
        found = type(value).__name__ if table is None else f"{table.dtype} {table.shape}"
        expected = " or ".join(str(width) for width in widths)
        raise MotionError(f"{place}: '{key}' is {found}, expected numbers [T, {expected}]; choose another --format")
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(table, np.float64)


def _from_rows(value: object, widths: tuple[int, ...]) -> Table | None:
    """Return a table written as a list of rows, or None if it is none."""
    if not isinstance(value, list) or not all(isinstance(row, list) and len(row) in widths for row in value):
        return None
    numbers = all(isinstance(cell, (int, float)) for row in value for cell in row)
    return np.array(value, dtype=np.float64) if numbers and len({len(row) for row in value}) == 1 else None


def _rotations(motion: Mapping[object, object], frames: int, count: int) -> Table | None:
    """Return `pose_aa`, the rotation vector of root and joints, [T, 1 + count, 3], where the file has it."""
    value = motion.get("pose_aa")
    if not isinstance(value, np.ndarray) or value.ndim != 3 or value.dtype.kind != "f":
        return None
    if value.shape[0] != frames or value.shape[1] < 1 + count or value.shape[2] != 3:
        return None
    return np.asarray(value[:, : 1 + count], np.float64)


def _checked_rotation(root_rot: Table, motion: Mapping[object, object], place: str) -> Table:
    """Return the root rotation as w, x, y, z, its order checked against the file's other record of it."""
    rotations = _rotations(motion, len(root_rot), 0)
    if rotations is None or not (np.isfinite(rotations).all() and np.isfinite(root_rot).all()):
        log.warning("assumed: root_rot is x, y, z, w (the file holds nothing to check it by)")
        return root_rot[:, _XYZW_TO_WXYZ]
    expected = quat_from_rotation_vector(torch.tensor(rotations[:, 0]))
    for order, columns in (("x, y, z, w", _XYZW_TO_WXYZ), ("w, x, y, z", [0, 1, 2, 3])):
        difference = quat_multiply(quat_conjugate(expected), torch.tensor(root_rot[:, columns]))
        if float(quat_to_rotation_vector(difference).norm(dim=1).max()) < _AGREES:
            level = logging.INFO if columns == _XYZW_TO_WXYZ else logging.WARNING
            log.log(level, "checked: root_rot is %s, as pose_aa says", order)
            return root_rot[:, columns]
    raise MotionError(f"{place}: root_rot and pose_aa contradict each other; export the motion again")


def _check_joint_order(dof: Table, known: tuple[str, ...], motion: Mapping[object, object], place: str) -> None:
    """Raise MotionError where the file's rotation vectors turn about other axes, or by other angles, than `dof`."""
    rotations = _rotations(motion, len(dof), len(known))
    if rotations is None:
        log.warning("the joint order is not checked: the file holds nothing to check it by")
        return
    for column, joint in enumerate(known):
        turned = rotations[:, 1 + column]
        expected = np.zeros_like(turned)
        expected[:, axis_of(joint)] = dof[:, column]
        if np.abs(dof[:, column]).max(initial=0.0) > _MOVES and not np.abs(turned - expected).max() < _AGREES:
            raise MotionError(f"{place}: 'dof' column {column} is not {joint} by pose_aa; another joint order")
    log.info("checked: the joint order agrees with the axes and angles of pose_aa")
