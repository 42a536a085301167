"""Where the robot's keypoints are and how they move, seen from its root."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrack.fields import component, param, scratch
from mtrack.mirror import Mirror
from mtrack.scene import Scene
from mtrack_body.names import body_columns


@component
class KeypointPos:
    """Positions of bodies in the root frame [m]."""

    bodies: tuple[str, ...] = param(default=("keypoints",))
    """Bodies to observe: names or sets."""
    columns: Tensor = scratch()
    reflection: Mirror = scratch()

    def bind(self, scene: Scene) -> None:
        """Resolve the bodies. Raises NameProblem."""
        self.columns = body_columns(scene, self.bodies)
        self.reflection = scene.model.body_mirror(scene.model.bodies(self.bodies), Mirror.vector())

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, 3 bodies] m."""
        return scene.robot.body_pos_root.flatten(1).index_select(1, self.columns)

    def mirror(self) -> Mirror:
        """Return the mirror of the bodies' vectors."""
        return self.reflection


@component
class KeypointRot:
    """Orientations of bodies relative to the root, as the first two columns of their rotation matrices."""

    bodies: tuple[str, ...] = param(default=("keypoints",))
    """Bodies to observe: names or sets."""
    columns: Tensor = scratch()
    """int64 [6 bodies] places of the first two matrix columns in a flattened [3, B, 3]: row, body, column."""
    reflection: Mirror = scratch()

    def bind(self, scene: Scene) -> None:
        """Resolve the bodies. Raises NameProblem."""
        bodies = scene.model.bodies(self.bodies)
        row, column = torch.arange(3), torch.arange(2).unsqueeze(-1)
        places = 3 * (len(scene.model.body_names) * row + bodies[:, None, None]) + column
        self.columns = places.flatten().to(scene.device)
        self.reflection = scene.model.body_mirror(bodies, Mirror.rot6d())

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, 6 bodies]."""
        # matrix row before body is how the scene keeps the matrices: nothing is copied but what is selected
        return scene.robot.body_rot_root.transpose(1, 2).flatten(1).index_select(1, self.columns)

    def mirror(self) -> Mirror:
        """Return the mirror of the bodies' rotations."""
        return self.reflection


@component
class KeypointLinVel:
    """Linear velocities of bodies against the root's, in the root frame [m/s]."""

    bodies: tuple[str, ...] = param(default=("keypoints",))
    """Bodies to observe: names or sets."""
    columns: Tensor = scratch()
    reflection: Mirror = scratch()

    def bind(self, scene: Scene) -> None:
        """Resolve the bodies. Raises NameProblem."""
        self.columns = body_columns(scene, self.bodies)
        self.reflection = scene.model.body_mirror(scene.model.bodies(self.bodies), Mirror.vector())

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, 3 bodies] m/s."""
        return scene.robot.body_lin_vel_root.flatten(1).index_select(1, self.columns)

    def mirror(self) -> Mirror:
        """Return the mirror of the bodies' vectors."""
        return self.reflection


@component
class KeypointAngVel:
    """Angular velocities of bodies against the root's, in the root frame [rad/s]."""

    bodies: tuple[str, ...] = param(default=("keypoints",))
    """Bodies to observe: names or sets."""
    columns: Tensor = scratch()
    reflection: Mirror = scratch()

    def bind(self, scene: Scene) -> None:
        """Resolve the bodies. Raises NameProblem."""
        self.columns = body_columns(scene, self.bodies)
        self.reflection = scene.model.body_mirror(scene.model.bodies(self.bodies), Mirror.pseudovector())

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, 3 bodies] rad/s."""
        return scene.robot.body_ang_vel_root.flatten(1).index_select(1, self.columns)

    def mirror(self) -> Mirror:
        """Return the mirror of the bodies' axial vectors."""
        return self.reflection
