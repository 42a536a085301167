"""Penalties for undesired contacts."""

from __future__ import annotations

from torch import Tensor

from mtrack import Requirements, RobotModel, Scene, component, non_negative, param, scratch
from mtrack_body.names import contact_columns, touches


@component
class SelfCollision:
    """-number of bodies that touch another part of the robot; needs a robot with self-collision."""

    bodies: tuple[str, ...] = param(default=("feet", "non_feet"))
    """Bodies that count: names or sets."""
    min_force: float = param(default=0.0, validator=non_negative)
    """Contact force up to which contacts are ignored, mean over 3 substeps [N]."""
    columns: Tensor = scratch()

    def requires(self, robot: RobotModel) -> Requirements:
        """Request the bodies' contacts with the robot itself."""
        return touches(robot, self.bodies, against="self")

    def bind(self, scene: Scene) -> None:
        """Resolve the bodies."""
        self.columns = contact_columns(scene, self.bodies, against="self")

    def __call__(self, scene: Scene) -> Tensor:
        """Return [N], 0, -1, -2, ..."""
        contacts = scene.contacts
        touching = contacts.in_contact.index_select(1, self.columns)
        if self.min_force > 0.0:
            touching = touching & (contacts.force.index_select(1, self.columns).norm(dim=-1) > self.min_force)
        return -touching.sum(-1).float()


@component
class UndesiredContactCount:
    """-number of bodies that touch anything although they should not."""

    bodies: tuple[str, ...] = param(default=("non_feet",))
    """Bodies that should touch nothing: names or sets."""
    columns: Tensor = scratch()

    def requires(self, robot: RobotModel) -> Requirements:
        """Request the bodies' contacts."""
        return touches(robot, self.bodies)

    def bind(self, scene: Scene) -> None:
        """Resolve the bodies."""
        self.columns = contact_columns(scene, self.bodies)

    def __call__(self, scene: Scene) -> Tensor:
        """Return [N], 0, -1, -2, ..."""
        return -scene.contacts.in_contact.index_select(1, self.columns).sum(-1).float()
