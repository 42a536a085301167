"""What the policy is told of compliant arms besides the motion."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from mtrack.fields import component
from mtrack.mirror import Mirror
from mtrack.scene import Scene


@component
class ComplianceFlag:
    """What the command tells besides the motion: flag, force / 20 N, stiffness / 400 N/m of compliant arms."""

    sensors: ClassVar[tuple[str, ...]] = ()

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, 3]."""
        return scene.reference.flags

    def mirror(self) -> Mirror:
        """Return the mirror of plain numbers."""
        return Mirror.scalar(3)
