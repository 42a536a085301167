"""What is measured of a clip, frame by frame: heights over the floor, contact, slides, speeds, limits, overlaps."""

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
"""Of the lowest point over time: the height at which a clip takes its floor to be."""
TOUCH = 0.01
"""How near to its floor a shape touches it [m]."""
CLEAR = 0.03
"""How far from it nothing does [m]."""
_SHORTEST_HOVER = 0.1  # s; less is a stumble of the recording
_GRAVITY = 9.81  # m/s^2
_FALLS = (0.4, 1.6)  # times gravity: what a root does in free flight
_FLIGHT_WINDOW = 0.2  # s, over which that is looked at


@attrs.frozen(eq=False)
class Measures:
    """One clip: T frames, F feet, J joints of the robot. Speeds are those on the way to a frame; 0 in frame 0."""

    fps: float
    feet: tuple[str, ...]
    joints: tuple[str, ...]
    soles: Array
    """[T, F] height of the lowest point of each foot's colliding shapes [m]."""
    lowest: Array
    """[T] height of the lowest point of all colliding shapes [m]."""
    ground: float
    """Where the clip takes the floor to be: the 5th percentile of `lowest` [m]."""
    touches: Flags
    """[T, F] whether a foot is within `TOUCH` of that."""
    slides: Array
    """[T, F] horizontal speed of those shapes of a foot that touch; NaN where it does not touch [m/s]."""
    hovers: Flags
    """[T] whether nothing is within `CLEAR` of that floor, and the root does not fall freely either."""
    root_speed: Array
    """[T] m/s."""
    root_turning: Array
    """[T] rad/s."""
    joint_speed: Array
    """[T, J] shares of the joints' speed limits."""
    margin: Array
    """[T, J] from the nearer end of a joint's range; negative beyond it [rad]."""
    overlap: Array
    """[T] how deep two links are in each other [m]."""
    pair: tuple[str, ...]
    """T names of these two; empty where there are none."""

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
        """Return where a clip takes the floor to be [m]."""
        return self.measure(clip).ground

    def measure(self, clip: Clip) -> Measures:
        """Return the measures of a clip that `why_unusable` finds nothing wrong with."""
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
    """Return first frame and the one after the last of each stretch of frames that are flagged."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    return [(int(first), int(end)) for first, end in edges.reshape(-1, 2)]


def _columns(foot: NDArray[np.int64], names: tuple[str, ...]) -> list[NDArray[np.int64]]:
    return [np.flatnonzero(foot == place) for place in range(len(names))]


def _from_second(values: Array) -> Array:
    """Return what is of the way between frames as of the later one, with a frame of zeros before it."""
    return np.concatenate((np.zeros_like(values[:1]), values))


def _slides(centre: Array, touching: Flags, fps: float) -> Array:
    """Return the mean horizontal speed of a foot's shapes that touch now and did a frame ago, [T]; else NaN."""
    speed = np.linalg.norm(np.diff(centre[..., :2], axis=0), axis=-1) * fps
    both = touching[1:] & touching[:-1]
    count = both.sum(axis=1)
    mean = np.where(count > 0, (speed * both).sum(axis=1) / np.maximum(count, 1), np.nan)
    return np.concatenate(([np.nan], mean))


def _hovers(clear: Flags, root_height: Array, fps: float) -> Flags:
    """Return the frames in which nothing touches, but for those in which the root is in free flight."""
    hovers = clear & ~_falls(root_height, fps)
    for first, end in runs(hovers):
        if (end - first) / fps < _SHORTEST_HOVER:
            hovers[first:end] = False
    return hovers


def _falls(height: Array, fps: float) -> Flags:
    """Return whether the acceleration of a height is about that of gravity, by a parabola through its surroundings."""
    reach = min(max(2, round(_FLIGHT_WINDOW * fps / 2.0)), (len(height) - 1) // 2)
    if reach < 2:
        return np.zeros(len(height), bool)
    place = np.arange(-reach, reach + 1)
    weight = place**2 - (place**2).mean()  # least squares: what of the heights is quadratic
    curve = np.convolve(np.pad(height, reach, mode="reflect", reflect_type="odd"), weight, "valid")
    acceleration = 2.0 * curve / (weight @ place**2) * fps**2
    least, most = _FALLS
    return np.asarray((-acceleration > least * _GRAVITY) & (-acceleration < most * _GRAVITY))
