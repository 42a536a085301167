"""The observation `compliance_flag`: whether and how the arms should yield."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from mtrack import Mirror, RobotTerm, Scene, component

EXTRA = "compliance"
"""Name in `Scene.extras` of what the observation shows, [N, 3]."""


@component
class ComplianceFlag:
    """Flag, force / 20 N and stiffness / 400 N/m of compliant arms; zeros without the randomization `compliance`."""

    sensors: ClassVar[tuple[str, ...]] = ()

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, 3]."""
        flags = scene.extras.get(EXTRA)
        return scene.robot.root_pos.new_zeros(scene.num_envs, 3) if flags is None else flags

    def robot_term(self) -> RobotTerm:
        """Return that a robot sets it, like any other command; stiff arms by default."""
        columns = ["flag", "force / 20 N", "stiffness / 400 N/m"]
        return RobotTerm(kind="constant", columns=columns, unit="", parameters={"values": [0.0, 0.0, 0.0]})

    def mirror(self) -> Mirror:
        """Return the mirror of plain numbers."""
        return Mirror.scalar(3)
