"""Joint velocities of the reference at the future frames."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from mtrack import Mirror, Scene, component, scratch
from mtrack_tracking.observations import num_future


@component
class ReferenceJointVel:
    """Joint velocities of the reference [rad/s]."""

    sensors: ClassVar[tuple[str, ...]] = ()

    joints: Mirror = scratch()

    def bind(self, scene: Scene) -> None:
        """Take the joints' mirror."""
        self.joints = scene.model.joint_mirror.repeat(num_future(scene))

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, S * J] rad/s."""
        return scene.reference.future.joint_vel.flatten(1)

    def mirror(self) -> Mirror:
        """Return the mirror of joints."""
        return self.joints
