"""How far the robot is from its reference, in single numbers: for the critic and for terminations."""

from __future__ import annotations

from torch import Tensor

from mtrack.fields import component, param, positive, scratch
from mtrack.math import rotation_angle
from mtrack.mirror import Mirror
from mtrack.scene import Scene


def keypoint_distance(scene: Scene, indices: Tensor) -> Tensor:
    """Return the mean distance of bodies from the reference's, re-anchored rigidly on the robot's root, [n] m.

    Both are taken in their own root frame: pose counts, drift of the root does not.
    """
    distance: Tensor = (scene.robot.body_pos_root - scene.reference.body_pos_root).norm(dim=-1)
    return distance.index_select(1, indices).mean(-1)


@component
class RootPosError:
    """Distance of the root from its target, over a scale."""

    scale: float = param(default=1.5, validator=positive)
    """Distance that reads 1 [m]."""

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, 1]."""
        distance: Tensor = (scene.reference.root_target - scene.robot.root_pos).norm(dim=-1, keepdim=True)
        return distance / self.scale

    def mirror(self) -> Mirror:
        """Return the mirror of a plain number."""
        return Mirror.scalar()


@component
class RootRotError:
    """Angle between the orientations of robot and reference root, over a scale."""

    scale: float = param(default=0.7, validator=positive)
    """Angle that reads 1 [rad]."""

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, 1]."""
        return rotation_angle(scene.robot.root_rot, scene.reference.root_rot).unsqueeze(-1) / self.scale

    def mirror(self) -> Mirror:
        """Return the mirror of a plain number."""
        return Mirror.scalar()


@component
class KeypointError:
    """Mean distance of the keypoints from the re-anchored reference's, over a scale."""

    scale: float = param(default=0.25, validator=positive)
    """Distance that reads 1 [m]."""
    bodies: list[str] = param(factory=lambda: ["keypoints"])
    """Bodies or named sets of bodies."""
    indices: Tensor = scratch()

    def bind(self, scene: Scene) -> None:
        """Find the keypoints."""
        self.indices = scene.model.bodies(self.bodies).to(scene.device)

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, 1]."""
        return keypoint_distance(scene, self.indices).unsqueeze(-1) / self.scale

    def mirror(self) -> Mirror:
        """Return the mirror of a plain number."""
        return Mirror.scalar()
