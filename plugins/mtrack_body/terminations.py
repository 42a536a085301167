"""Terminations without a reference: the robot has fallen, or a body touches what it should not."""

from __future__ import annotations

import math

from torch import Tensor

from mtrack import Requirements, RobotModel, Scene, between, component, non_negative, param, scratch
from mtrack_body.names import contact_columns, touches


@component
class FallOver:
    """The root tilts too far from the vertical."""

    max_tilt: float = param(default=1.2, validator=between(0.0, math.pi))
    """Angle between the root's vertical axis and the world's [rad]."""
    timeout: bool = param(default=False)
    """Whether it truncates the episode instead of terminating it."""

    def __call__(self, scene: Scene) -> Tensor:
        """Return bool [N]."""
        return scene.robot.projected_gravity[:, 2] > -math.cos(self.max_tilt)


@component
class UndesiredContact:
    """A body touches something although it should not."""

    bodies: tuple[str, ...] = param(default=("non_feet",))
    """Bodies that should touch nothing: names or sets."""
    min_force: float = param(default=1.0, validator=non_negative)
    """Contact force up to which contacts are ignored, mean over 3 substeps [N]."""
    timeout: bool = param(default=False)
    """Whether it truncates the episode instead of terminating it."""
    columns: Tensor = scratch()

    def requires(self, robot: RobotModel) -> Requirements:
        """Request the bodies' contacts."""
        return touches(robot, self.bodies)

    def bind(self, scene: Scene) -> None:
        """Resolve the bodies."""
        self.columns = contact_columns(scene, self.bodies)

    def __call__(self, scene: Scene) -> Tensor:
        """Return bool [N]."""
        force: Tensor = scene.contacts.force.index_select(1, self.columns).norm(dim=-1)
        return (force > self.min_force).any(-1)
