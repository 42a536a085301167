"""Where a motion is not continuous: steps that do not fit the steps around them, repeated frames, missing frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs
import numpy as np
from numpy.typing import NDArray

from mtrack.exchange import Clip
from mtrack.robot import RobotModel
from mtrack_motion.clip import joint_columns

Array = NDArray[np.float64]

_AROUND = 6  # steps on each side, whose median is reported
_LOWEST_RATE = (
    22.0  # 1/s; a rate at which every other frame can be left out without losing the motion is above twice it
)
_CALIBRATED_RATE = 25.0  # 1/s; at lower rates honest steps differ more from each other
_FEWEST = 5  # steps
_REPEATED = 1e-6  # m and rad
_LONGEST_REPEAT = 4  # frames; more is standing still
_FEWEST_REPEATS, _SHARE_REPEATED = 3, 0.15  # of the frames in motion; less is a stumble, which is not judged
_MOVES = 0.03  # rad between frames, all joints together
_SHAKES = 0.6  # of a jump, that the steps around it have
_GAP, _SAME_WAY, _STEADY = 1.6, 0.95, 3.0
_ROOT_WEIGHT = 2.0  # rad/m


@attrs.frozen
class Break:
    """One way in which a motion is not continuous, at its worst place."""

    kind: str
    """`jump`, `repeat` or `gap`."""
    brief: str
    """A few words, for a table."""
    text: str
    """A sentence: how much, where, and the steps around it."""
    frame: int
    severity: float
    """From 1 on, a clip is not used unless the user accepts it."""
    remedy: str = "cut the clip there"

    @property
    def serious(self) -> bool:
        """Whether a clip is not used because of it."""
        return self.severity >= 1.0


@attrs.frozen
class _Limits:
    """How far a step may exceed what the steps around it suggest."""

    noted: float
    refused: float
    unit: str
    factor: float
    """From m or rad to the unit."""


# honest steps of 67 clips (kicks, leaps, spins, walks, falls; 30 and 50 Hz) exceed the steps around them by at most
# 0.022 m, 0.044 rad and 0.16 rad; what retargeting leaves in LAFAN1 (ankles, wrists) is between the two limits
_ROOT = _Limits(0.025, 0.06, "cm", 100.0)
_TURN = _Limits(0.12, 0.35, "rad", 1.0)
_JOINT = _Limits(0.2, 0.5, "rad", 1.0)


def breaks(clip: Clip, robot: RobotModel, only_serious: bool = False) -> list[Break]:
    """Return where a clip of finite numbers is not continuous, the worst first; empty for a smooth motion.

    `only_serious` is faster: it looks for nothing else.
    """
    root_pos, quat = clip.root_pos.astype(np.float64), clip.root_quat_wxyz.astype(np.float64)
    angles = clip.joint_pos[:, joint_columns(clip, robot)].astype(np.float64)
    if len(root_pos) <= _FEWEST:
        return []
    found = list(_repeats(root_pos, quat, angles, clip.fps))
    kept = np.arange(len(root_pos))
    if found:  # its steps alternate between 0 and twice as much; judge them without the repeated frames
        kept = np.flatnonzero(np.concatenate(([True], ~_still(root_pos, quat, angles))))
    moves = root_pos[kept], quat[kept], angles[kept]
    if len(kept) > _FEWEST:
        found += _jumps(*moves, clip.fps, kept, robot.joint_names, only_serious)
        found += [] if only_serious else _gaps(*moves, kept)
    return sorted((one for one in found if one.serious or not only_serious), key=lambda one: -one.severity)


def _jumps(
    root_pos: Array,
    quat: Array,
    angles: Array,
    fps: float,
    frames: NDArray[np.int64],
    names: Sequence[str],
    only_serious: bool,
) -> Iterator[Break]:
    """Yield the worst jump of the root, of its rotation and of each joint."""
    tolerance = max(1.0, _CALIBRATED_RATE / fps)
    worst: dict[str, Break] = {}
    stride = 1
    while stride == 1 or (fps / stride >= _LOWEST_RATE and len(root_pos) > _FEWEST * stride):
        # a jump that was interpolated extends over several frames, and shows in steps over as many
        for what, steps, limits in (
            (("the root",), root_pos[stride:, None] - root_pos[:-stride, None], _ROOT),
            (("the root's rotation",), _turns(quat, stride)[:, None], _TURN),
            (names, (angles[stride:] - angles[:-stride])[..., None], _JOINT),
        ):
            least = (limits.refused if only_serious else limits.noted) * tolerance
            for column, one in _worst_jumps(steps, stride, limits, tolerance, least, what, frames):
                if what[column] not in worst or one.severity > worst[what[column]].severity:
                    worst[what[column]] = one
        stride *= 2
    yield from worst.values()


def _worst_jumps(
    steps: Array,
    stride: int,
    limits: _Limits,
    tolerance: float,
    least: float,
    what: Sequence[str],
    frames: NDArray[np.int64],
) -> Iterator[tuple[int, Break]]:
    """Yield column and worst jump of each column of steps [S, C, D] that has one of at least some excess."""
    size = np.abs(steps[..., 0]) if steps.shape[-1] == 1 else np.linalg.norm(steps, axis=-1)
    rows, columns = np.nonzero(size > least)  # no step exceeds others by more than its size
    if not len(rows):
        return
    if stride > 1:
        inside = (rows >= 2 * stride) & (rows < len(steps) - 2 * stride)
        rows, columns = rows[inside], columns[inside]
    excess = _excess(steps, size, rows, columns, stride)
    found = excess > least
    rows, columns, excess = rows[found], columns[found], excess[found]
    for column in np.unique(columns):
        mine = np.flatnonzero(columns == column)
        row, places = int(rows[mine[excess[mine].argmax()]]), 1 + int((np.diff(rows[mine]) > 2 * stride).sum())
        offsets = [offset for offset in range(-_AROUND, _AROUND + 1) if offset]
        around = float(np.median(size[[_reflected(row + offset * stride, len(size)) for offset in offsets], column]))
        back = row + stride < len(steps) and np.linalg.norm(steps[row, column] + steps[row + stride, column])
        spike = stride == 1 and bool(back) and back < 0.5 * size[row, column]
        unit, many = limits.unit, f", and in {places - 1} more places" if places > 1 else ""
        step, usual = size[row, column] * limits.factor, around * limits.factor
        first, last = int(frames[row]), int(frames[row + stride])
        where = f"in frame {last} alone" if spike else f"from frame {first} to {last}"
        yield (
            int(column),
            Break(
                "jump",
                f"{what[column].removeprefix('the ')} jumps {step:.3g} {unit}",
                _jump_text(what[column], step, usual, unit, where) + many,
                first,
                float(excess[mine].max()) / (limits.refused * tolerance),
            ),
        )


def _jump_text(what: str, step: float, usual: float, unit: str, where: str) -> str:
    if usual > _SHAKES * step:  # noise: all steps are like this one
        return f"{what} shakes from frame to frame, by {usual:.2g} {unit} as a rule and by {step:.3g} {unit} {where}"
    return f"{what} jumps by {step:.3g} {unit} {where}, where steps around it are {usual:.2g} {unit}"


def _excess(steps: Array, size: Array, rows: NDArray[np.int64], columns: NDArray[np.int64], stride: int) -> Array:
    """Return by how much some steps differ from what the two on each side suggest, and are longer than both, [K].

    An abrupt stop or start differs too, but is no longer than the steps on one of its sides.
    """
    near = [steps[_reflected(rows + offset * stride, len(steps)), columns] for offset in (-2, -1, 1, 2)]
    here, length = steps[rows, columns], size[rows, columns]
    expected = (4.0 * (near[1] + near[2]) - (near[0] + near[3])) / 6.0
    along = [(here * other).sum(axis=-1) / length for other in near[1:3]]
    longer = length - np.maximum(np.maximum(*along), 0.0)
    return np.asarray(np.minimum(np.linalg.norm(here - expected, axis=-1), longer))


def _repeats(root_pos: Array, quat: Array, angles: Array, fps: float) -> Iterator[Break]:
    """Yield whether frames are repeated while the motion goes on: it was resampled by holding frames."""
    still = _still(root_pos, quat, angles)
    if still.sum() < _FEWEST_REPEATS:
        return
    edges = np.flatnonzero(np.diff(np.concatenate(([False], still, [False])).astype(np.int8)))
    moved = np.abs(np.diff(angles, axis=0)).sum(axis=1) + np.linalg.norm(np.diff(root_pos, axis=0), axis=1)
    first, end = edges[::2], edges[1::2]
    inside = (first > 0) & (end < len(still)) & (end - first <= _LONGEST_REPEAT)
    first, end = first[inside], end[inside]
    during = np.minimum(moved[first - 1], moved[end]) > _MOVES
    first, end = first[during], end[during]
    repeated, moving = int((end - first).sum()), int((~still).sum())
    share = repeated / max(repeated + moving, 1)
    if len(first) < _FEWEST_REPEATS or share < _SHARE_REPEATED:
        return
    times = (repeated + moving) / moving
    yield Break(
        "repeat",
        f"frames {times:.2g} times",
        f"{repeated} frames repeat the one before them while the motion goes on, the first of them frame "
        f"{int(first[0]) + 1}: each is there {times:.2g} times on average, so its speed alternates between 0 and too "
        "much",
        int(first[0]) + 1,
        share / _SHARE_REPEATED,
        f"leave repeated frames out and use {fps / times:.4g} frames a second",
    )


def _gaps(root_pos: Array, quat: Array, angles: Array, frames: NDArray[np.int64]) -> Iterator[Break]:
    """Yield where everything moves on as before, but by the steps of two frames or more: frames are missing."""
    steps = np.concatenate((_ROOT_WEIGHT * np.diff(root_pos, axis=0), _turns(quat, 1), np.diff(angles, axis=0)), axis=1)
    size = np.linalg.norm(steps, axis=1)
    expected = (steps[1:-3] + steps[3:-1]) / 2.0  # of the steps 2 ... S - 3
    usual = np.linalg.norm(expected, axis=1)
    along = (steps[2:-2] * expected).sum(axis=1)
    near = np.stack((size[:-4], size[1:-3], size[3:-1], size[4:]))
    with np.errstate(divide="ignore", invalid="ignore"):
        times, same = along / usual**2, along / (usual * size[2:-2])
        steady = near.max(axis=0) < _STEADY * near.min(axis=0)
    found = (usual > _MOVES) & steady & (times > _GAP) & (same > _SAME_WAY)
    if not found.any():
        return
    worst = int(np.where(found, times, 0.0).argmax())
    first, last, count = int(frames[worst + 2]), int(frames[worst + 3]), int(found.sum())
    many = f", and in {count - 1} more places" if count > 1 else ""
    yield Break(
        "gap",
        f"{times[worst]:.2g} steps in one",
        f"everything moves {times[worst]:.2g} steps at once from frame {first} to {last}{many}; frames may be missing",
        first,
        0.5,
    )


def _still(root_pos: Array, quat: Array, angles: Array) -> NDArray[np.bool_]:
    """Return whether nothing moves from each frame to the next, [T - 1]."""
    still = (np.abs(np.diff(angles, axis=0)) < _REPEATED).all(axis=1)
    if still.any():
        for values in (root_pos, quat):
            still &= (np.abs(np.diff(values, axis=0)) < _REPEATED).all(axis=1)
    return np.asarray(still)


def _turns(quat: Array, stride: int) -> Array:
    """Return the rotation vectors from each frame to the one a stride later, [T - stride, 3] rad."""
    first, last = quat[:-stride], quat[stride:]
    scalar = (first * last).sum(axis=1)
    (w, x, y, z), (w2, x2, y2, z2) = first.T, last.T  # the vector part of the product of first's conjugate and last
    vector = np.stack(
        (
            w * x2 - x * w2 - y * z2 + z * y2,
            w * y2 - y * w2 - z * x2 + x * z2,
            w * z2 - z * w2 - x * y2 + y * x2,
        ),
        axis=1,
    )
    length = np.linalg.norm(vector, axis=1)
    angle = 2.0 * np.arctan2(length, np.abs(scalar)) * np.where(scalar < 0.0, -1.0, 1.0)
    return np.asarray(vector * (angle / np.maximum(length, 1e-12))[:, None])


def _reflected(index: NDArray[np.int64] | int, count: int) -> NDArray[np.int64]:
    """Return indices that are outside of 0 ... count - 1 mirrored into it."""
    inside = count - 1 - np.abs(count - 1 - np.abs(np.asarray(index, np.int64)))
    return np.asarray(np.clip(inside, 0, count - 1))
