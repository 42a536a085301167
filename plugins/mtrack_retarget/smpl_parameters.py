"""Reads the pose parameters of SMPL and SMPL-X from files of AMASS, GVHMR and others with the same names."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import attrs
import numpy as np

from mtrack import MotionError
from mtrack_formats.fields import Fields
from mtrack_motion.npz import is_zip, member_shapes, read_npz
from mtrack_retarget.robot_motion import Array
from mtrack_retarget.smpl_joints import BODY_JOINTS

_ROOT = ("root_orient", "global_orient")
_BODY = ("pose_body", "body_pose")
_WHOLE = ("poses", "smpl_poses")
_TRANSLATION = ("trans", "transl", "smpl_trans")
_RATES = ("mocap_frame_rate", "mocap_framerate")
_FPS = (*_RATES, "fps", "frame_rate")
_READ = (*_ROOT, *_BODY, *_WHOLE, *_TRANSLATION, *_FPS, "betas", "gender")
_WIDTHS = (66, 72, 156, 165)
"""Columns of 22, 24, 52 and 55 joints."""
_INNER_WIDTHS = (63, 69)
"""Columns of these joints without the root."""
_BODY_WIDTH = 3 * len(BODY_JOINTS)
_GVHMR = "smpl_params_global"
_MAX_INDEX_BYTES = 16 * 1024 * 1024


@attrs.frozen(eq=False)
class SmplParameters:
    """The pose of SMPL's body in T frames, and the shape of the person."""

    rotations: Array
    """[T, 22, 3] rad, rotation vectors relative to the parent."""
    translation: Array
    """[T, 3] m."""
    betas: Array
    """[B], the shape."""
    fps: float | None
    gender: str
    """As the file says; empty if it does not."""
    up: str
    """`y` or `z`; empty if unknown."""


def describe_npz(path: Path) -> str:
    """Return what pose parameters an .npz file has; empty if none. Raises MotionError if it is damaged."""
    shapes = member_shapes(path)
    moves = any(name in shapes for name in _TRANSLATION)
    whole = next((shapes[name] for name in _WHOLE if name in shapes), ())
    if moves and len(whole) == 2 and whole[1] in _WIDTHS:
        maker = "AMASS" if any(name in shapes for name in _RATES) else "SMPL parameters"
        return f"{maker}, {whole[0]} frames, {whole[1] // 3} joints"
    root, body = (next((shapes[name] for name in names if name in shapes), ()) for names in (_ROOT, _BODY))
    if moves and len(root) == 2 and len(body) > 1:
        return f"SMPL parameters, {root[0]} frames"
    return ""


def is_gvhmr(path: Path) -> bool:
    """Return whether a file is a PyTorch file that contains GVHMR's parameters, without loading it."""
    if not is_zip(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            index = next((one for one in archive.infolist() if one.filename.endswith("/data.pkl")), None)
            if index is None or index.file_size > _MAX_INDEX_BYTES:
                return False
            return _GVHMR.encode() in archive.read(index)
    except Exception:  # whatever zipfile and zlib raise is caused by the file's bytes
        return False


def read_npz_parameters(path: Path) -> SmplParameters:
    """Read the parameters of an .npz file. Raises MotionError that names file, member and remedy."""
    arrays = read_npz(path, _READ)
    fields = Fields(arrays, str(path))
    rate = next((name for name in _FPS if fields.has(name)), "")
    gender = arrays["gender"].item() if "gender" in arrays and arrays["gender"].size == 1 else ""
    return _parameters(
        fields,
        fps=fields.number(rate) if rate else None,
        gender=(gender.decode("ascii", "replace") if isinstance(gender, bytes) else str(gender)).strip().lower(),
        up="z" if rate in _RATES else "",
    )


def read_gvhmr(path: Path) -> SmplParameters:
    """Read the parameters in world axes of GVHMR's results. Raises MotionError; runs no code of the file."""
    import torch  # noqa: PLC0415  slow, and only this format needs it

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever torch raises is caused by the file's bytes
        detail = " ".join(str(error).split())[:120] or type(error).__name__
        raise MotionError(f"{path}: cannot be loaded without running code ({detail}); run GVHMR again") from None
    values = content.get(_GVHMR) if isinstance(content, Mapping) else None
    if not isinstance(values, Mapping):
        raise MotionError(f"{path}: has no '{_GVHMR}'; use the file hmr4d_results.pt of GVHMR")
    arrays = {name: value.numpy() for name, value in values.items() if isinstance(value, torch.Tensor)}
    # GVHMR's world has its y axis along gravity, and it resamples every video
    return _parameters(Fields(arrays, f"{path}: '{_GVHMR}'"), fps=None, gender="neutral", up="y")


def _parameters(fields: Fields, fps: float | None, gender: str, up: str) -> SmplParameters:
    """Return the parameters in fields of any of the known names. Raises MotionError."""
    whole, root, body, translation = (_first(fields, names) for names in (_WHOLE, _ROOT, _BODY, _TRANSLATION))
    if whole:
        rotations = _body_of(fields, whole)
    elif root and body:
        rotations = np.concatenate((fields.table(root, 3), fields.table(body, _INNER_WIDTHS)), axis=1)
    else:
        raise MotionError(
            f"{fields.place}: has no {_WHOLE[0]}, and not both {_ROOT[0]} and {_BODY[0]}; export it again"
        )
    if not translation:
        raise MotionError(f"{fields.place}: has no {' or '.join(_TRANSLATION)}; export it with the root's translation")
    moved = fields.table(translation, 3)
    if len(moved) != len(rotations):
        raise fields.error(translation, f"has {len(moved)} frames, but the poses have {len(rotations)}")
    rotations = rotations[:, :_BODY_WIDTH].reshape(len(rotations), -1, 3)
    for name, values in ((whole or body, rotations), (translation, moved)):
        bad = np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(axis=1))
        if len(bad):
            raise fields.error(name, f"is not finite in frame {bad[0]}", "cut these frames out, or export it again")
    return SmplParameters(rotations, moved, _betas(fields), fps, gender, up)


def _body_of(fields: Fields, name: str) -> Array:
    """Return the columns of the body, [T, 66]. Raises MotionError if the width is of no body model."""
    value = fields.values.get(name)
    if not isinstance(value, np.ndarray) or value.ndim != 2 or value.shape[1] not in _WIDTHS:
        raise fields.error(name, f"is not a table with {', '.join(map(str, _WIDTHS))} columns")
    return Fields({name: value[:, :_BODY_WIDTH]}, fields.place).table(name, _BODY_WIDTH)  # hands would exceed its limit


def _first(fields: Fields, names: tuple[str, ...]) -> str:
    return next((name for name in names if fields.has(name)), "")


def _betas(fields: Fields) -> Array:
    """Return the shape, [B]: the median if the file has one for each frame. Raises MotionError."""
    value = fields.values.get("betas")
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iuf" or not value.size:
        raise fields.error(
            "betas", "is missing or not numbers", "add the shape of the person, or zeros for the average"
        )
    betas = np.median(np.asarray(value, np.float64).reshape(-1, value.shape[-1] if value.ndim else 1), axis=0)
    if not np.isfinite(betas).all():
        raise fields.error("betas", "is not finite")
    return np.asarray(betas)
