"""What the policy observes of the motion to follow: root, gravity and contacts at the future frames.

A quantity of S future frames is [n, S * width], frame after frame, the present one first. "In the robot frame" means
relative to the pose of the robot's root; velocities are only rotated into it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from mtrack import Mirror, Noise, RobotTerm, Scene, component, scratch
from mtrack.math import quat_from_rotation_vector, quat_to_matrix

XYZ = ("x", "y", "z")
"""Names of the columns of a vector."""
ROTATION_COLUMNS = ("r00", "r10", "r20", "r01", "r11", "r21")
"""Names of the first two columns of a rotation matrix, one after the other."""


def num_future(scene: Scene) -> int:
    """Return the number of future frames the command publishes, S."""
    return scene.reference.future.root_pos.shape[1]


def frame_columns(scene: Scene, names: Sequence[str], first: int = 0, count: int | None = None) -> list[str]:
    """Return a name for each column of a quantity of the future frames from `first` on, up to `count` frames."""
    frames = range(num_future(scene))[first : None if count is None else first + count]
    return [f"frame {frame}.{name}" for frame in frames for name in names]


@component
class ReferenceRootDisplacement:
    """Displacement of the reference root from now to each later frame, in its present frame [m]."""

    sensors: ClassVar[tuple[str, ...]] = ()

    frames: int = scratch()
    columns: list[str] = scratch()

    def bind(self, scene: Scene) -> None:
        """Count the later frames."""
        self.frames = num_future(scene) - 1
        self.columns = frame_columns(scene, XYZ, first=1)

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, (S - 1) * 3]."""
        reference = scene.reference
        way = reference.future.root_pos[:, 1:] - reference.root_pos.unsqueeze(1)
        return (way @ reference.root_rot).flatten(1)

    def robot_term(self) -> RobotTerm:
        """Return how a robot computes it."""
        return RobotTerm(kind="reference_root_displacement", columns=self.columns, unit="m", frame="reference root")

    def mirror(self) -> Mirror:
        """Return the mirror of positions."""
        return Mirror.vector().repeat(self.frames)


@component
class ReferenceRootRot:
    """Orientation of the reference root in the robot frame, as the first two columns of its matrix."""

    sensors: ClassVar[tuple[str, ...]] = ("imu",)

    frames: int = scratch()
    columns: list[str] = scratch()

    def bind(self, scene: Scene) -> None:
        """Count the frames."""
        self.frames = num_future(scene)
        self.columns = frame_columns(scene, ROTATION_COLUMNS)

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, S * 6]."""
        columns = scene.reference.future.root_rot[..., :2].mT.flatten(1, 2)  # [n, S * 2, 3], columns as rows
        return (columns @ scene.robot.root_rot).flatten(1)

    def disturb(self, value: Tensor, scene: Scene, noise: Noise) -> Tensor:
        """Return the value with an error of the robot's orientation, [rad] about a random axis, equal in all frames."""
        direction = torch.nn.functional.normalize(noise((len(value), 3)), dim=-1)
        error = quat_to_matrix(quat_from_rotation_vector(direction * noise((len(value), 1))))
        return (torch.unflatten(value, 1, (-1, 3)) @ error).flatten(1)

    def robot_term(self) -> RobotTerm:
        """Return how a robot computes it."""
        return RobotTerm(kind="reference_root_rot", columns=self.columns, unit="", frame="root")

    def mirror(self) -> Mirror:
        """Return the mirror of rotations."""
        return Mirror.rot6d().repeat(self.frames)


@component
class ReferenceRootHeight:
    """Height of the reference root [m]."""

    sensors: ClassVar[tuple[str, ...]] = ()

    frames: int = scratch()
    columns: list[str] = scratch()

    def bind(self, scene: Scene) -> None:
        """Count the frames."""
        self.frames = num_future(scene)
        self.columns = frame_columns(scene, ("height",))

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, S]."""
        return scene.reference.future.root_pos[..., 2]

    def robot_term(self) -> RobotTerm:
        """Return how a robot computes it."""
        return RobotTerm(kind="reference_root_height", columns=self.columns, unit="m", frame="world")

    def mirror(self) -> Mirror:
        """Return the mirror of heights."""
        return Mirror.scalar(self.frames)


@component
class ReferenceGravity:
    """Direction of gravity in the frame of the reference root."""

    sensors: ClassVar[tuple[str, ...]] = ()

    frames: int = scratch()
    columns: list[str] = scratch()

    def bind(self, scene: Scene) -> None:
        """Count the frames."""
        self.frames = num_future(scene)
        self.columns = frame_columns(scene, XYZ)

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, S * 3]."""
        return scene.reference.future.projected_gravity.flatten(1)

    def robot_term(self) -> RobotTerm:
        """Return how a robot computes it."""
        return RobotTerm(kind="reference_gravity", columns=self.columns, unit="", frame="reference root")

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
