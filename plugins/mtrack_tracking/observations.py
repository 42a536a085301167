"""What the policy observes of the motion to follow: root, joints, gravity and contacts at the future frames.

A quantity of S future frames is [n, S * width], frame after frame, the present one first. "In the robot frame" means
relative to the pose of the robot's root; velocities are only rotated into it.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from mtrack import Mirror, Noise, Scene, component, scratch
from mtrack.math import quat_from_rotation_vector, quat_to_matrix


def num_future(scene: Scene) -> int:
    """Return the number of future frames the command publishes, S."""
    return scene.reference.future.root_pos.shape[1]


@component
class ReferenceRootDisplacement:
    """Displacement of the reference root from now to each later frame, in its present frame [m]."""

    sensors: ClassVar[tuple[str, ...]] = ()

    frames: int = scratch()

    def bind(self, scene: Scene) -> None:
        """Count the later frames."""
        self.frames = num_future(scene) - 1

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, (S - 1) * 3]."""
        reference = scene.reference
        way = reference.future.root_pos[:, 1:] - reference.root_pos.unsqueeze(1)
        return (way @ reference.root_rot).flatten(1)

    def mirror(self) -> Mirror:
        """Return the mirror of positions."""
        return Mirror.vector().repeat(self.frames)


@component
class ReferenceRootRot:
    """Orientation of the reference root in the robot frame, as the first two columns of its matrix."""

    sensors: ClassVar[tuple[str, ...]] = ("imu",)

    frames: int = scratch()

    def bind(self, scene: Scene) -> None:
        """Count the frames."""
        self.frames = num_future(scene)

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, S * 6]."""
        columns = scene.reference.future.root_rot[..., :2].mT.flatten(1, 2)  # [n, S * 2, 3], columns as rows
        return (columns @ scene.robot.root_rot).flatten(1)

    def disturb(self, value: Tensor, scene: Scene, noise: Noise) -> Tensor:
        """Return the value with an error of the robot's orientation, [rad] about a random axis, equal in all frames."""
        direction = torch.nn.functional.normalize(noise((len(value), 3)), dim=-1)
        error = quat_to_matrix(quat_from_rotation_vector(direction * noise((len(value), 1))))
        return (torch.unflatten(value, 1, (-1, 3)) @ error).flatten(1)

    def mirror(self) -> Mirror:
        """Return the mirror of rotations."""
        return Mirror.rot6d().repeat(self.frames)


@component
class ReferenceJointPos:
    """Joint positions of the reference [rad]."""

    sensors: ClassVar[tuple[str, ...]] = ()

    joints: Mirror = scratch()

    def bind(self, scene: Scene) -> None:
        """Take the joints' mirror."""
        self.joints = scene.model.joint_mirror.repeat(num_future(scene))

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, S * J]."""
        return scene.reference.future.joint_pos.flatten(1)

    def mirror(self) -> Mirror:
        """Return the mirror of joints."""
        return self.joints


@component
class ReferenceJointDifference:
    """Joint positions of the reference minus the present readings of the encoders [rad]."""

    sensors: ClassVar[tuple[str, ...]] = ("joint_encoders",)

    joints: Mirror = scratch()

    def bind(self, scene: Scene) -> None:
        """Take the joints' mirror."""
        self.joints = scene.model.joint_mirror.repeat(num_future(scene))

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, S * J]."""
        reading = scene.robot.joint_pos - scene.robot.joint_offset
        return (scene.reference.future.joint_pos - reading.unsqueeze(1)).flatten(1)

    def disturb(self, value: Tensor, scene: Scene, noise: Noise) -> Tensor:
        """Return the value with one noisy reading of each encoder, the same against all frames."""
        num_joints = len(scene.model.joint_names)
        return (torch.unflatten(value, 1, (-1, num_joints)) - noise((len(value), 1, num_joints))).flatten(1)

    def mirror(self) -> Mirror:
        """Return the mirror of joints."""
        return self.joints


@component
class ReferenceRootHeight:
    """Height of the reference root [m]."""

    sensors: ClassVar[tuple[str, ...]] = ()

    frames: int = scratch()

    def bind(self, scene: Scene) -> None:
        """Count the frames."""
        self.frames = num_future(scene)

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, S]."""
        return scene.reference.future.root_pos[..., 2]

    def mirror(self) -> Mirror:
        """Return the mirror of heights."""
        return Mirror.scalar(self.frames)


@component
class ReferenceGravity:
    """Direction of gravity in the frame of the reference root."""

    sensors: ClassVar[tuple[str, ...]] = ()

    frames: int = scratch()

    def bind(self, scene: Scene) -> None:
        """Count the frames."""
        self.frames = num_future(scene)

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, S * 3]."""
        return scene.reference.future.projected_gravity.flatten(1)

    def mirror(self) -> Mirror:
        """Return the mirror of directions."""
        return Mirror.vector().repeat(self.frames)


@component
class ReferenceRootPos:
    """Position of the reference root in the robot frame [m]."""

    sensors: ClassVar[tuple[str, ...]] = ("root_position",)

    frames: int = scratch()

    def bind(self, scene: Scene) -> None:
        """Count the frames."""
        self.frames = num_future(scene)

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, S * 3]."""
        robot = scene.robot
        return ((scene.reference.future.root_pos - robot.root_pos.unsqueeze(1)) @ robot.root_rot).flatten(1)

    def mirror(self) -> Mirror:
        """Return the mirror of positions."""
        return Mirror.vector().repeat(self.frames)


@component
class ReferenceRootLinVel:
    """Linear velocity of the reference root in the robot frame [m/s]."""

    sensors: ClassVar[tuple[str, ...]] = ("imu",)

    frames: int = scratch()

    def bind(self, scene: Scene) -> None:
        """Count the frames."""
        self.frames = num_future(scene)

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, S * 3]."""
        return (scene.reference.future.root_lin_vel @ scene.robot.root_rot).flatten(1)

    def mirror(self) -> Mirror:
        """Return the mirror of velocities."""
        return Mirror.vector().repeat(self.frames)


@component
class ReferenceRootAngVel:
    """Angular velocity of the reference root in the robot frame [rad/s]."""

    sensors: ClassVar[tuple[str, ...]] = ("imu",)

    frames: int = scratch()

    def bind(self, scene: Scene) -> None:
        """Count the frames."""
        self.frames = num_future(scene)

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, S * 3]."""
        return (scene.reference.future.root_ang_vel @ scene.robot.root_rot).flatten(1)

    def mirror(self) -> Mirror:
        """Return the mirror of angular velocities."""
        return Mirror.pseudovector().repeat(self.frames)


@component
class ReferenceContact:
    """Whether each foot of the reference stands, 1 or 0."""

    sensors: ClassVar[tuple[str, ...]] = ()

    feet: Mirror = scratch()

    def bind(self, scene: Scene) -> None:
        """Take the feet's mirror."""
        self.feet = scene.model.body_mirror(scene.model.bodies("feet"), Mirror.scalar())

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, F]."""
        return scene.reference.contact

    def mirror(self) -> Mirror:
        """Return the mirror of the feet."""
        return self.feet
