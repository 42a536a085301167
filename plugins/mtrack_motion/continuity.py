"""Find where a motion is not continuous: jumps, repeated frames, missing frames."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mtrack import Clip, RobotModel
from mtrack_motion.clip import joint_columns
from mtrack_motion.jumps import FEWEST_STEPS, Break, find_jumps, turns

Array = NDArray[np.float64]

_REPEATED = 1e-6  # m and rad
_LONGEST_REPEAT = 4  # frames; longer repeats are standing still
_FEWEST_REPEATS, _SHARE_REPEATED = 3, 0.15  # of the frames in motion; fewer repeats are a glitch, which is not judged
_MOVES = 0.03  # rad between frames, summed over joints
_WHOLE = 0.03  # tolerance for rounding the number of repeats; a motion does not end with a repeated frame
_GAP, _SAME_WAY, _STEADY = 1.6, 0.95, 3.0
_ROOT_WEIGHT = 2.0  # rad/m


def breaks(clip: Clip, robot: RobotModel, only_serious: bool = False) -> list[Break]:
    """Return where a clip of finite numbers is not continuous, worst first; empty for a smooth motion.

    `only_serious` is faster: it skips what does not exclude a clip.
    """
    root_pos, quat = clip.root_pos.astype(np.float64), clip.root_quat_wxyz.astype(np.float64)
    angles = clip.joint_pos[:, joint_columns(clip, robot)].astype(np.float64)
    if len(root_pos) <= FEWEST_STEPS:
        return []
    found = list(_repeats(root_pos, quat, angles, clip.fps))
    kept = np.arange(len(root_pos))
    if found:  # steps alternate between 0 and twice their size, so judge them without the repeated frames
        kept = np.flatnonzero(np.concatenate(([True], ~_still(root_pos, quat, angles))))
    moves = root_pos[kept], quat[kept], angles[kept]
    if len(kept) > FEWEST_STEPS:
        found += find_jumps(*moves, clip.fps, kept, robot.joint_names, only_serious)
        found += [] if only_serious else _gaps(*moves, kept)
    return sorted((one for one in found if one.serious or not only_serious), key=lambda one: -one.severity)


def _repeats(root_pos: Array, quat: Array, angles: Array, fps: float) -> Iterator[Break]:
    """Yield a problem if frames are repeated during the motion, which was then resampled by repeating frames."""
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
    if len(first) < _FEWEST_REPEATS:
        return
    span = still[first[0] : end[-1] + 1]
    repeated, moving = int((end - first).sum()), int((~span).sum())
    share = repeated / (repeated + moving)
    if share < _SHARE_REPEATED:
        return
    times = (repeated + moving) / moving
    if abs(times - round(times)) < _WHOLE * times:
        times = float(round(times))
    yield Break(
        "repeat",
        f"frames {times:.2g} times",
        f"{repeated} frames repeat the one before them during the motion, starting with frame "
        f"{int(first[0]) + 1}: each appears {times:.2g} times on average, so the speed alternates between 0 and too "
        "high",
        int(first[0]) + 1,
        share / _SHARE_REPEATED,
        f"remove the repeated frames and use {fps / times:.4g} frames per second",
    )


def _gaps(root_pos: Array, quat: Array, angles: Array, frames: NDArray[np.int64]) -> Iterator[Break]:
    """Yield the worst place where everything moves as before, but by the steps of two frames or more at once."""
    steps = np.concatenate((_ROOT_WEIGHT * np.diff(root_pos, axis=0), turns(quat, 1), np.diff(angles, axis=0)), axis=1)
    size = np.linalg.norm(steps, axis=1)
    expected = (steps[1:-3] + steps[3:-1]) / 2.0  # for the steps 2 ... S - 3
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
    """Return for each frame whether nothing moves until the next one, [T - 1]."""
    still = (np.abs(np.diff(angles, axis=0)) < _REPEATED).all(axis=1)
    if still.any():
        for values in (root_pos, quat):
            still &= (np.abs(np.diff(values, axis=0)) < _REPEATED).all(axis=1)
    return np.asarray(still)
