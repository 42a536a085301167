"""The importer `asap_pickle`: retargeted G1 motions of ASAP, PBHC and HumanoidVerse."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from mtrack import Clip, MotionError, Robot, component, param
from mtrack.math import quat_conjugate, quat_from_rotation_vector, quat_multiply, quat_to_rotation_vector
from mtrack_formats.contents import explain, incomplete_motions, is_pickle_or_json, motions_in, read_values
from mtrack_formats.fields import Fields
from mtrack_formats.fit import both_orders
from mtrack_formats.joint_orders import G1_23, G1_29, axis_of
from mtrack_formats.recording import POSSIBLE_FPS, QUATERNION_ORDERS, FloatArray, ImportOptions, Recording
from mtrack_formats.resolve import resolve
from mtrack_motion.motion_errors import read_each
from mtrack_motion.units import are_degrees

log = logging.getLogger(__name__)

_KEYS = ("root_trans_offset", "root_rot", "dof")
_TOLERANCE = 1e-3  # rad; both records in a file come from the same numbers
_ORDER = "x, y, z, w"


@component
class AsapPickle:
    """Pickles of ASAP, PBHC and HumanoidVerse (joblib or plain), with 23 or 29 joints of the G1."""

    fps: float | None = param(default=None, validator=POSSIBLE_FPS)
    """Frame rate to use instead of the one in the file [1/s]."""
    fill_missing: bool = param(default=False)
    """Keep missing joints (23-joint files lack the six wrist joints) at their default."""
    trust: bool = param(default=False)
    """Import the file as documented even if another reading looks more plausible."""

    def recognises(self, path: Path) -> str:
        """Return a description of what was found; empty if the file has another format. Raises MotionError."""
        if not is_pickle_or_json(path):
            return ""
        count = len(motions_in(read_values(path), _KEYS, path.stem))
        return f"ASAP pickle, {count} motion{'s' if count != 1 else ''}" if count else ""

    def clips(self, path: Path, robot: Robot) -> Iterator[Clip]:
        """Yield the clips of a file. Raises MotionError that names file, field and remedy."""
        content = read_values(path)
        motions = motions_in(content, _KEYS, path.stem)
        if not motions:
            raise MotionError(f"{path}: {explain(content, 'asap_pickle', _KEYS)}")
        motions |= incomplete_motions(content, _KEYS, path.stem)
        options = ImportOptions(self.fps, self.fill_missing, self.trust)

        def read(key: str) -> Clip:
            name = path.stem if len(motions) == 1 else key
            fields = Fields(motions[key], f"{path}: motion '{key}'" if key.isprintable() else str(path))
            return resolve(_recording(fields, name, path), robot, options)

        yield from read_each(motions, read)


def _recording(fields: Fields, name: str, path: Path) -> Recording:
    dof = fields.table("dof", (len(G1_23), len(G1_29)))
    known = G1_23 if dof.shape[1] == len(G1_23) else G1_29
    root_rot = fields.table("root_rot", 4)
    rotations = _rotations(fields, len(dof), len(known))
    # NaN, infinity and degrees are reported as such later, not as a contradiction
    sound = _is_finite(dof) and _is_finite(root_rot) and not are_degrees(dof)
    proven = rotations is not None and len(root_rot) == len(dof) and sound
    order = _ORDER
    if rotations is not None and proven:
        order = _checked_order(root_rot, rotations[:, 0], fields.place)
        _check_joint_order(dof, known, rotations, fields.place)
    return Recording(
        name=name,
        place=fields.place,
        source=path.name,
        fps=fields.number("fps"),
        root_pos=fields.table("root_trans_offset", 3),
        root_quat=root_rot,
        quat_order=order,
        joint_pos=dof,
        known_order=known,
        joints_proven=proven,
        root_proven=proven,
    )


def _is_finite(table: FloatArray) -> bool:
    return bool(np.isfinite(table).all())


def _rotations(fields: Fields, frames: int, count: int) -> FloatArray | None:
    """Return `pose_aa`, the rotation vectors of root and joints, [T, 1 + count, 3]; None if the file lacks it."""
    if not fields.has("pose_aa"):
        return None
    value = fields.table("pose_aa", None, 3)
    if len(value) != frames or value.shape[1] < 1 + count or not np.isfinite(value).all():
        raise fields.error(
            "pose_aa", f"is {value.shape}, expected finite numbers for {frames} frames of the root and {count} joints"
        )
    return value[:, : 1 + count]


def _checked_order(root_rot: FloatArray, rotations: FloatArray, place: str) -> str:
    """Return the order of the root's quaternion that matches its rotation vectors. Raises MotionError."""
    expected = quat_from_rotation_vector(torch.tensor(rotations))
    for order in both_orders(_ORDER):
        difference = quat_multiply(quat_conjugate(expected), torch.tensor(root_rot[:, QUATERNION_ORDERS[order]]))
        if float(quat_to_rotation_vector(difference).norm(dim=1).nan_to_num(nan=np.inf).max()) < _TOLERANCE:
            level = logging.INFO if order == _ORDER else logging.WARNING
            log.log(level, "checked against pose_aa: root_rot is %s", order)
            return order
    raise MotionError(f"{place}: root_rot and pose_aa contradict each other; export the motion again")


def _check_joint_order(dof: FloatArray, known: tuple[str, ...], rotations: FloatArray, place: str) -> None:
    """Raise MotionError if the file's rotation vectors have other axes or angles than `dof`."""
    for column, joint in enumerate(known):
        turned = rotations[:, 1 + column]
        expected = np.zeros_like(turned)
        expected[:, axis_of(joint)] = dof[:, column]
        if not np.abs(turned - expected).max(initial=0.0) < _TOLERANCE:
            raise MotionError(
                f"{place}: 'dof' column {column} is not {joint} according to pose_aa, so the joints are in another "
                "order; export the motion again in the documented order"
            )
    log.info("checked against pose_aa: the joint order matches its axes and angles")
