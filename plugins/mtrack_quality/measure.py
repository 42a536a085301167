"""Measures clips frame by frame: height above the floor, contact, slides, speeds, limits, overlaps."""

from __future__ import annotations

from typing import TypeAlias

import attrs
import numpy as np
from numpy.typing import NDArray

from mtrack import Clip, Robot
from mtrack_motion.clip import joint_columns
from mtrack_motion.clip_checks import joint_steps, steps
from mtrack_quality.geometry import Array, Geometry

Flags: TypeAlias = NDArray[np.bool_]

GROUND_PERCENTILE = 0.05
"""Percentile of the lowest point over time that counts as the floor of a clip."""
TOUCH = 0.01
"""A shape nearer to the floor than this touches it [m]."""
CLEAR = 0.03
"""A robot further from the floor than this touches nothing [m]."""
_SHORTEST_HOVER = 0.1  # s; anything shorter is noise of the recording
_GRAVITY = 9.81  # m/s^2
_FALLS = (0.4, 1.6)  # times gravity: downward acceleration of the root in free flight
_FLIGHT_WINDOW = 0.2  # s, over which the acceleration is estimated


@attrs.frozen(eq=False)
class Measures:
    """One clip: T frames, F feet, J joints. The speed in a frame is that from the frame before; 0 in frame 0."""

    fps: float
    feet: tuple[str, ...]
    joints: tuple[str, ...]
    soles: Array
    """[T, F] height of the lowest point of each foot's colliding shapes [m]."""
    lowest: Array
    """[T] height of the lowest point of all colliding shapes [m]."""
    ground: float
    """Height of the clip's own floor: the 5th percentile of `lowest` [m]."""
    touches: Flags
    """[T, F] whether a foot is within `TOUCH` of that floor."""
    slides: Array
    """[T, F] horizontal speed of the touching shapes of a foot; NaN if none touches [m/s]."""
    hovers: Flags
    """[T] whether nothing is within `CLEAR` of that floor although the root is not in free flight."""
    root_speed: Array
    """[T] m/s."""
    root_turning: Array
    """[T] rad/s."""
    joint_speed: Array
    """[T, J] as a share of the joints' speed limits."""
    margin: Array
    """[T, J] distance to the nearer end of a joint's range; negative beyond it [rad]."""
    overlap: Array
    """[T] depth of the deepest overlap of two links [m]."""
    pair: tuple[str, ...]
    """T names of these two links; empty without an overlap."""

    @property
    def time(self) -> Array:
        """[T] s."""
        return np.asarray(np.arange(len(self.lowest)) / self.fps)


class Meter:
    """Measures clips of one robot."""

    def __init__(self, robot: Robot) -> None:
        """Compile the robot once for many clips."""
        self.robot = robot.model()
        self._geometry = Geometry(robot)

    def ground(self, clip: Clip) -> float:
        """Return the height of a clip's own floor [m]."""
        return self.measure(clip).ground

    def measure(self, clip: Clip) -> Measures:
        """Return the measures of a clip; `why_unreadable` must find no fault in it."""
        robot = self.robot
        angles = clip.joint_pos[:, joint_columns(clip, robot)].astype(np.float64)
        root_pos, quat = clip.root_pos.astype(np.float64), clip.root_quat_wxyz.astype(np.float64)
        track = self._geometry.track(root_pos, quat, angles)
        ground = float(np.quantile(track.lowest, GROUND_PERCENTILE))
        low, high = (column.numpy() for column in robot.joint_range.unbind(1))
        touching = track.bottom - ground < TOUCH
        slides = np.stack(
            [_slides(track.centre[:, mine], touching[:, mine], clip.fps) for mine in _columns(track.foot, track.names)],
            axis=1,
        )
        root = _from_second(steps(clip))
        return Measures(
            fps=clip.fps,
            feet=track.names,
            joints=robot.joint_names,
            soles=track.soles,
            lowest=track.lowest,
            ground=ground,
            touches=track.soles - ground < TOUCH,
            slides=slides,
            hovers=_hovers(track.lowest - ground > CLEAR, root_pos[:, 2], clip.fps),
            root_speed=root[:, 0],
            root_turning=root[:, 1],
            joint_speed=_from_second(joint_steps(clip, robot)) / robot.velocity_limit.numpy(),
            margin=np.minimum(angles - low, high - angles),
            overlap=track.overlap,
            pair=track.pair,
        )


def runs(flags: Flags) -> list[tuple[int, int]]:
    """Return the first frame, and the one after the last, of each run of flagged frames."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    return [(int(first), int(end)) for first, end in edges.reshape(-1, 2)]


def _columns(foot: NDArray[np.int64], names: tuple[str, ...]) -> list[NDArray[np.int64]]:
    return [np.flatnonzero(foot == index) for index in range(len(names))]


def _from_second(values: Array) -> Array:
    """Return values between frames, assigned to the later frame, with zeros for frame 0."""
    return np.concatenate((np.zeros_like(values[:1]), values))


def _slides(centre: Array, touching: Flags, fps: float) -> Array:
    """Return the mean horizontal speed of a foot's shapes that touch in this frame and the one before, [T], or NaN."""
    speed = np.linalg.norm(np.diff(centre[..., :2], axis=0), axis=-1) * fps
    both = touching[1:] & touching[:-1]
    count = both.sum(axis=1)
    mean = np.where(count > 0, (speed * both).sum(axis=1) / np.maximum(count, 1), np.nan)
    return np.concatenate(([np.nan], mean))


def _hovers(clear: Flags, root_height: Array, fps: float) -> Flags:
    """Return the frames in which nothing touches, except those in which the root is in free flight."""
    hovers = clear & ~free_fall(root_height, fps)
    for first, end in runs(hovers):
        if (end - first) / fps < _SHORTEST_HOVER:
            hovers[first:end] = False
    return hovers


def free_fall(height: Array, fps: float) -> Flags:
    """Return whether a height accelerates about as in free flight, by a parabola fitted around each frame."""
    reach = min(max(2, round(_FLIGHT_WINDOW * fps / 2.0)), (len(height) - 1) // 2)
    if reach < 2:
        return np.zeros(len(height), bool)
    offset = np.arange(-reach, reach + 1)
    weight = offset**2 - (offset**2).mean()  # least squares: the quadratic part of the heights
    curve = np.convolve(np.pad(height, reach, mode="reflect", reflect_type="odd"), weight, "valid")
    acceleration = 2.0 * curve / (weight @ offset**2) * fps**2
    least, most = _FALLS
    return np.asarray((-acceleration > least * _GRAVITY) & (-acceleration < most * _GRAVITY))
