"""Detect wrong units, rates, axes and empty numbers; runs before joint orders and jumps are checked."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mtrack import RobotModel

Array = NDArray[np.floating]

_BEYOND_TURN = 1.05 * 2.0 * np.pi  # rad
_DEGREE_COLUMNS = 3
_CENTIMETRES, _MILLIMETRES = 20.0, 320.0  # multiples of the standing root height above which it is in that unit
_STANDS = (0.6, 1.3)  # multiples of that height
_LOW = 0.4
_LEVEL = 0.8  # of a unit axis along another one, on average
_SHORTEST = 30.0  # 1/s; a small number instead of a frame rate may be the duration of a frame
FPS_RANGE = (1.0, 1000.0)
"""Valid frame rates of a motion [1/s]."""


def why_wrong_rate(fps: float, name: str) -> str:
    """Return what is wrong with a frame rate called `name`, in one line; empty if it is valid."""
    low, high = FPS_RANGE
    if low <= fps <= high:
        return ""
    if 1.0 / high <= fps <= 1.0 / _SHORTEST:
        return f"{name} is {fps:g}, which looks like the duration of a frame in s; the rate would be {1.0 / fps:.4g}"
    return f"{name} is {fps:g}; a frame rate must be between {low:g} and {high:g} frames per second"


def why_wrong_numbers(root_pos: Array, joint_pos: Array, robot: RobotModel) -> str:
    """Return what is wrong with root positions [T, 3] m and joints [T, J] rad, in one line; empty if nothing is.

    The order of the joints does not matter. All numbers must be finite.
    """
    return next(_problems(root_pos, joint_pos, float(robot.default_root_pos[2]), robot), "")


def are_degrees(joint_pos: Array) -> bool:
    """Return whether joint positions [T, J] are too large for radians in so many columns that they must be degrees."""
    largest = np.abs(joint_pos).max(axis=0, initial=0.0)
    return int((largest > _BEYOND_TURN).sum()) >= min(_DEGREE_COLUMNS, len(largest))


def why_other_axis_up(root_pos: Array, up: Array, robot: RobotModel) -> str:
    """Return which axis points up if not z, from root positions and the root's unit up axis, both [T, 3]."""
    stands = float(robot.default_root_pos[2])
    mean_up, height = up.mean(axis=0), np.median(root_pos, axis=0)
    for axis, name in ((1, "y"), (0, "x")):
        along = abs(float(mean_up[axis]))
        if along > _LEVEL and _STANDS[0] < height[axis] / stands < _STANDS[1] and abs(height[2]) < _LOW * stands:
            return (
                f"{name} points up, not z: the root is at {name} = {height[axis]:.2f} m and z = {height[2]:.2f} m, and "
                f"its up axis points along {name}; rotate positions and orientations so that z points up"
            )
    return ""


def _problems(root_pos: Array, joint_pos: Array, stands: float, robot: RobotModel) -> Iterator[str]:
    largest = float(robot.joint_range.abs().max())
    if are_degrees(joint_pos) and np.abs(joint_pos).max() > largest:  # a wheel may turn without limit
        frame, column = (int(i) for i in np.unravel_index(int(np.abs(joint_pos).argmax()), joint_pos.shape))
        yield (
            f"the joint angles are degrees, not radians: {joint_pos[frame, column]:.4g} in frame {frame}, joint column "
            f"{column}, but no joint can turn beyond {largest:.2f} rad; convert them with numpy.deg2rad"
        )
    if joint_pos.any() and (joint_pos == np.round(joint_pos)).all():
        yield (
            "all joint angles are whole numbers, so they were rounded or stored as integers; export them as "
            "floating-point numbers in radians"
        )
    if len(joint_pos) and not joint_pos.any() and robot.default_joint_pos.any():  # otherwise it stands still
        yield "all joint angles are 0 in every frame; export the motion again with its joint angles"
    height = float(np.median(np.abs(root_pos[:, 2]))) / stands
    if height > _CENTIMETRES:
        unit, factor = ("millimetres", 1000) if height > _MILLIMETRES else ("centimetres", 100)
        yield (
            f"the root positions are {unit}, not metres: its height is {height * stands:.4g} (median), but robot "
            f"'{robot.name}' stands at {stands:.2f} m; divide them by {factor}"
        )
    if len(root_pos) and not root_pos.any():
        yield "the root is at 0, 0, 0 in every frame; export the motion again with its root positions"
