"""A motion as arrays in float64, in the joint order of its robot."""

from __future__ import annotations

from typing import TypeAlias

import attrs
import numpy as np
from numpy.typing import NDArray

from mtrack import Clip, RobotModel
from mtrack_motion.clip import joint_columns

Array: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]


@attrs.frozen(eq=False)
class RobotMotion:
    """T frames at a constant rate, J joints in the order of the robot's model."""

    fps: float
    root_pos: Array
    """[T, 3] m."""
    root_quat_wxyz: Array
    """[T, 4]."""
    joint_pos: Array
    """[T, J] rad."""

    @staticmethod
    def of(clip: Clip, robot: RobotModel) -> RobotMotion:
        """Return the motion of a clip. Raises MotionError if it lacks a joint of the robot."""
        columns = joint_columns(clip, robot)
        quat = clip.root_quat_wxyz.astype(np.float64)
        return RobotMotion(
            fps=clip.fps,
            root_pos=clip.root_pos.astype(np.float64),
            root_quat_wxyz=continuous(quat / np.linalg.norm(quat, axis=1, keepdims=True)),
            joint_pos=clip.joint_pos[:, columns].astype(np.float64),
        )

    def to_clip(self, robot: RobotModel, name: str, source: str, licence: str) -> Clip:
        """Return this motion as a clip."""
        return Clip(
            name=name,
            fps=self.fps,
            joint_names=robot.joint_names,
            root_pos=self.root_pos.astype(np.float32),
            root_quat_wxyz=self.root_quat_wxyz.astype(np.float32),
            joint_pos=self.joint_pos.astype(np.float32),
            source=source,
            licence=licence,
        )

    def part(self, first: int, end: int) -> RobotMotion:
        """Return the frames from `first` to before `end`."""
        frames = slice(first, end)
        return RobotMotion(self.fps, self.root_pos[frames], self.root_quat_wxyz[frames], self.joint_pos[frames])

    def __len__(self) -> int:
        return len(self.root_pos)


def smoothstep(share: Array) -> Array:
    """Return a share of 0 to 1 that starts and ends with slope 0."""
    return np.asarray(share * share * (3.0 - 2.0 * share))


def continuous(quat: Array) -> Array:
    """Return quaternions [T, 4] with signs such that neighbours are near each other."""
    flips = np.cumprod(np.where((quat[1:] * quat[:-1]).sum(axis=1) < 0.0, -1.0, 1.0))
    return np.asarray(quat * np.concatenate(([1.0], flips))[:, None])
