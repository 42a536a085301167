"""Check that a clip is well-formed: sizes, names, finite numbers, unit quaternions; compute its hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mtrack import Clip, MotionError, RobotModel
from mtrack.errors import did_you_mean
from mtrack_motion.units import why_wrong_rate

QUATERNION_TOLERANCE = 0.01
"""Tolerance of the norm; files written with few decimals stay below it."""
_UPSIDE_DOWN = -0.3
_MAX_ROOT = 1e4  # m; above it float32 is too coarse, and the unit is not metres
_LARGEST = float(np.finfo(np.float32).max)
_MAX_JOINT = 50.0  # rad; several turns; above it the unit is degrees


def check_clip(clip: Clip, place: str) -> None:
    """Raise MotionError for the first problem of a clip, in one line that starts with `place`."""
    for problem in _problems(clip):
        raise MotionError(f"{place}: {problem}")


def check_upright(clip: Clip, place: str) -> None:
    """Raise MotionError for a clip that is mostly upside down: its quaternions are in another order."""
    mean = float(uprightness(clip).mean())
    if mean < _UPSIDE_DOWN:
        raise MotionError(
            f"{place}: the root is upside down (mean height of its up axis {mean:.2f}); the quaternion is probably in "
            "another order, reorder its columns"
        )


def uprightness(clip: Clip) -> NDArray[np.float32]:
    """Return the height of the root's unit up axis in each frame, [T]; 1 is upright, -1 upside down."""
    x, y = clip.root_quat_wxyz[:, 1], clip.root_quat_wxyz[:, 2]
    return (1.0 - 2.0 * (x * x + y * y)).astype(np.float32)


def up_axis(quat_wxyz: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the unit up axis of unit quaternions [T, 4] in each frame, [T, 3]."""
    w, x, y, z = quat_wxyz.T
    return np.stack((2.0 * (x * z + w * y), 2.0 * (y * z - w * x), 1.0 - 2.0 * (x * x + y * y)), axis=1)


def content_hash(clip: Clip) -> str:
    """Return the sha256 of the motion (rate, joint names, trajectories), independent of the clip's name."""
    digest = hashlib.sha256(json.dumps([float(clip.fps), *clip.joint_names]).encode())
    for values in (clip.root_pos, clip.root_quat_wxyz, clip.joint_pos):
        digest.update(np.ascontiguousarray(values, "<f4").tobytes())
    return digest.hexdigest()


def joint_columns(clip: Clip, robot: RobotModel) -> list[int]:
    """Return the clip's column of each joint of the robot. Raises MotionError for joints the clip lacks."""
    columns = {name: column for column, name in enumerate(clip.joint_names)}
    missing = [name for name in robot.joint_names if name not in columns]
    if missing:
        foreign = foreign_joints(clip, robot)
        instead = did_you_mean(missing[0], foreign) or (f"but it has {_listed(list(foreign))}" if foreign else "")
        raise MotionError(
            f"clip '{clip.name}': has no joint {_listed(missing)} of robot '{robot.name}'"
            f"{', ' + instead if instead else ''}; import it with --fill-missing, or choose another robot"
        )
    return [columns[name] for name in robot.joint_names]


def foreign_joints(clip: Clip, robot: RobotModel) -> tuple[str, ...]:
    """Return the joints of a clip that the robot lacks."""
    return tuple(name for name in clip.joint_names if name not in robot.joint_names)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:6])
    return f"{shown} and {len(names) - 6} more" if len(names) > 6 else shown


def _problems(clip: Clip) -> Iterator[str]:
    if not clip.name or not clip.name.isprintable():
        yield f"the name {clip.name[:40]!r} is not one line of text; give the clip a name"
    if problem := why_wrong_rate(clip.fps, "fps"):
        yield problem
    yield from _name_problems(clip.joint_names)
    yield from _shape_problems(clip)
    yield from _number_problems("root_pos", clip.root_pos, ("x", "y", "z"), _MAX_ROOT, "metres")
    yield from _number_problems("root_quat_wxyz", clip.root_quat_wxyz, tuple("wxyz"), _LARGEST, "range")
    yield from _number_problems("joint_pos", clip.joint_pos, clip.joint_names, _MAX_JOINT, "radians")
    norm = np.linalg.norm(clip.root_quat_wxyz.astype(np.float64), axis=1)
    wrong = np.abs(norm - 1.0) > QUATERNION_TOLERANCE
    if wrong.any():
        frame = int(np.abs(norm - 1.0).argmax())
        yield f"root_quat_wxyz, frame {frame}: the norm is {norm[frame]:.4g}, not 1{_explain_norms(norm, wrong)}"


def _explain_norms(norm: NDArray[np.float64], wrong: NDArray[np.bool_]) -> str:
    """Return how many norms [T] are wrong, the likely reason, and a remedy."""
    count = int(wrong.sum())
    many = f", and wrong in {count} of {len(norm)} frames" if count > 1 else ""
    if norm[wrong].max() < QUATERNION_TOLERANCE:
        return f"{many}; a zero quaternion is not a rotation: write the root's rotation there or cut these frames out"
    if count == len(norm) and np.ptp(norm) < QUATERNION_TOLERANCE * norm.max():
        return f"{many} by the same factor; divide the quaternions by their norm"
    if count > len(norm) // 2:
        return f"{many}; these four columns are not a quaternion (rotation vectors, Euler angles, or other columns?)"
    return f"{many}; normalise it, or fix these frames"


def _name_problems(names: Sequence[str]) -> Iterator[str]:
    if not names:
        yield "joint_names is empty; name the joints"
    for name in names:
        if not name or not name.isprintable():
            yield f"joint_names: {name[:40]!r} is not a name; name every joint"
        if names.count(name) > 1:
            yield f"joint_names: '{name}' appears {names.count(name)} times; name every joint once"


def _shape_problems(clip: Clip) -> Iterator[str]:
    frames = len(clip.root_pos)
    expected = {"root_pos": 3, "root_quat_wxyz": 4, "joint_pos": len(clip.joint_names)}
    for name, width in expected.items():
        shape = np.shape(getattr(clip, name))
        if shape != (frames, width):
            yield f"{name}: the shape is {shape}, expected ({frames}, {width}): one row per frame, see joint_names"
    if frames < 2:
        yield f"it has {frames} frame{'s' if frames != 1 else ''}; a motion needs at least 2"


def _number_problems(
    name: str, values: NDArray[np.float32], columns: Sequence[str], limit: float, unit: str
) -> Iterator[str]:
    bad = ~(np.abs(values) <= limit)  # true for NaN too
    if bad.any():
        frame, column = (int(i) for i in np.argwhere(bad)[0])
        value = values[frame, column]
        remedy = f"is it in {unit}?" if np.isfinite(value) else "fix that frame or cut it out"
        count, frames = int(bad.sum()), int(bad.any(axis=1).sum())
        many = f" ({count} such values in {frames} of {len(values)} frames)" if count > 1 else ""
        yield f"{name}, frame {frame}, {columns[column]}: the value is {value:g}{many}; {remedy}"


def single(values: NDArray[np.generic]) -> NDArray[np.float32]:
    """Return values as float32; overflow becomes infinity, which `check_clip` reports."""
    with np.errstate(over="ignore"):
        return np.array(values, np.float32)


def unit_quaternions(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Normalise quaternions [T, 4] that are nearly unit; others are unchanged, and `check_clip` reports them."""
    with np.errstate(over="ignore", invalid="ignore"):
        norm = np.linalg.norm(values, axis=1, keepdims=True)
    nearly = np.abs(norm - 1.0) <= QUATERNION_TOLERANCE
    return single(values / np.where(nearly, norm, 1.0))
