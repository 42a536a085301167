"""Metrics of pose errors: keypoints by four conventions, joints, root.

Robot and reference are compared at equal times. Every metric is a mean over the frames before the first failure.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from mtrack import Kinematics, Scene, component, one_of, param, scratch
from mtrack.math import quat_conjugate, quat_multiply, quat_rotate, quat_yaw, rotation_angle
from mtrack_eval.frame_mean import FrameMean

_MM = 1e3


@component
class Mpkpe(FrameMean):
    """Mean per-keypoint position error, by one of the usual conventions of what to ignore."""

    unit: ClassVar[str] = "mm"
    align: str = param(default="local", validator=one_of("world", "root", "local", "yaw"))
    """What is ignored. `world`: nothing, so drift counts; `root`: translation of the root; `local`: translation and
    rotation of the root, so only the pose counts; `yaw`: the root's x, y and heading, but not its height and tilt."""
    bodies: tuple[str, ...] = param(default=("keypoints",))
    """Bodies: names or sets."""
    indices: Tensor = scratch()

    def bind(self, scene: Scene) -> None:
        """Resolve the bodies. Raises NameProblem."""
        self.indices = scene.model.bodies(self.bodies).to(scene.device)

    def frame(self, scene: Scene) -> Tensor:
        """Return [N] mm."""
        offsets = _ALIGNED[self.align](scene.robot, scene.reference)
        distances: Tensor = offsets.index_select(1, self.indices).norm(dim=-1)
        return _MM * distances.mean(-1)


@component
class JointError(FrameMean):
    """Mean absolute difference of the joint positions."""

    unit: ClassVar[str] = "rad"

    def frame(self, scene: Scene) -> Tensor:
        """Return [N] rad."""
        return (scene.robot.joint_pos - scene.reference.joint_pos).abs().mean(-1)


@component
class JointVelError(FrameMean):
    """Mean absolute difference of the joint velocities."""

    unit: ClassVar[str] = "rad/s"

    def frame(self, scene: Scene) -> Tensor:
        """Return [N] rad/s."""
        return (scene.robot.joint_vel - scene.reference.joint_vel).abs().mean(-1)


@component
class RootHeightError(FrameMean):
    """Mean absolute difference of the root's height."""

    unit: ClassVar[str] = "m"

    def frame(self, scene: Scene) -> Tensor:
        """Return [N] m."""
        return (scene.robot.root_pos - scene.reference.root_pos)[:, 2].abs()


@component
class RootAngleError(FrameMean):
    """Mean angle between the orientations of the roots."""

    unit: ClassVar[str] = "rad"

    def frame(self, scene: Scene) -> Tensor:
        """Return [N] rad."""
        return rotation_angle(scene.robot.root_rot, scene.reference.root_rot)


def _world(robot: Kinematics, reference: Kinematics) -> Tensor:
    return robot.body_pos - reference.body_pos


def _root(robot: Kinematics, reference: Kinematics) -> Tensor:
    return _from_root(robot) - _from_root(reference)


def _local(robot: Kinematics, reference: Kinematics) -> Tensor:
    return robot.body_pos_root - reference.body_pos_root


def _yaw(robot: Kinematics, reference: Kinematics) -> Tensor:
    """Return the offsets after moving the reference to the robot's x, y and heading."""
    turn = quat_multiply(quat_yaw(robot.root_quat_wxyz), quat_conjugate(quat_yaw(reference.root_quat_wxyz)))
    offsets = _from_root(robot) - quat_rotate(turn.unsqueeze(1), _from_root(reference))
    offsets[..., 2] += (robot.root_pos - reference.root_pos)[:, 2:]
    return offsets


def _from_root(motion: Kinematics) -> Tensor:
    return motion.body_pos - motion.root_pos.unsqueeze(1)


_ALIGNED = {"world": _world, "root": _root, "local": _local, "yaw": _yaw}
"""Offsets of the robot's bodies from the reference's, [N, B, 3] m, by convention."""
