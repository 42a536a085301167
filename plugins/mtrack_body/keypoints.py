"""Observations of the robot's keypoints relative to its root: positions, rotations, velocities."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from mtrack import Mirror, Scene, component, param, scratch
from mtrack_body.names import ANG_VEL, FIRST_COLUMNS, LIN_VEL, POS, seen_from_root


@component
class KeypointPos:
    """Positions of bodies in the root frame [m]."""

    sensors: ClassVar[tuple[str, ...]] = ("body_poses",)

    bodies: tuple[str, ...] = param(default=("keypoints",))
    """Bodies to observe: names or sets."""
    columns: Tensor = scratch()
    reflection: Mirror = scratch()

    def bind(self, scene: Scene) -> None:
        """Resolve the bodies. Raises NameProblem."""
        self.columns = seen_from_root(scene, self.bodies, [POS])
        self.reflection = scene.model.body_mirror(scene.model.bodies(self.bodies), Mirror.vector())

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, 3 bodies] m."""
        return scene.robot.body_root.flatten(1).index_select(1, self.columns)

    def mirror(self) -> Mirror:
        """Return the mirror of the bodies' vectors."""
        return self.reflection


@component
class KeypointRot:
    """Orientations of bodies relative to the root, as the first two columns of their rotation matrices."""

    sensors: ClassVar[tuple[str, ...]] = ("body_poses",)

    bodies: tuple[str, ...] = param(default=("keypoints",))
    """Bodies to observe: names or sets."""
    columns: Tensor = scratch()
    reflection: Mirror = scratch()

    def bind(self, scene: Scene) -> None:
        """Resolve the bodies. Raises NameProblem."""
        bodies = scene.model.bodies(self.bodies)
        self.columns = seen_from_root(scene, self.bodies, FIRST_COLUMNS)
        self.reflection = scene.model.body_mirror(bodies, Mirror.rot6d())

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, 6 bodies]."""
        return scene.robot.body_root.flatten(1).index_select(1, self.columns)

    def mirror(self) -> Mirror:
        """Return the mirror of the bodies' rotations."""
        return self.reflection


@component
class KeypointLinVel:
    """Linear velocities of bodies relative to the root, in the root frame [m/s]."""

    sensors: ClassVar[tuple[str, ...]] = ("body_poses",)

    bodies: tuple[str, ...] = param(default=("keypoints",))
    """Bodies to observe: names or sets."""
    columns: Tensor = scratch()
    reflection: Mirror = scratch()

    def bind(self, scene: Scene) -> None:
        """Resolve the bodies. Raises NameProblem."""
        self.columns = seen_from_root(scene, self.bodies, [LIN_VEL])
        self.reflection = scene.model.body_mirror(scene.model.bodies(self.bodies), Mirror.vector())

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, 3 bodies] m/s."""
        return scene.robot.body_root.flatten(1).index_select(1, self.columns)

    def mirror(self) -> Mirror:
        """Return the mirror of the bodies' vectors."""
        return self.reflection


@component
class KeypointAngVel:
    """Angular velocities of bodies relative to the root, in the root frame [rad/s]."""

    sensors: ClassVar[tuple[str, ...]] = ("body_poses",)

    bodies: tuple[str, ...] = param(default=("keypoints",))
    """Bodies to observe: names or sets."""
    columns: Tensor = scratch()
    reflection: Mirror = scratch()

    def bind(self, scene: Scene) -> None:
        """Resolve the bodies. Raises NameProblem."""
        self.columns = seen_from_root(scene, self.bodies, [ANG_VEL])
        self.reflection = scene.model.body_mirror(scene.model.bodies(self.bodies), Mirror.pseudovector())

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, 3 bodies] rad/s."""
        return scene.robot.body_root.flatten(1).index_select(1, self.columns)

    def mirror(self) -> Mirror:
        """Return the mirror of the bodies' axial vectors."""
        return self.reflection
