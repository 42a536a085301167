"""Privileged observations of robot and ground: body heights, forces and times of foot contacts."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from mtrack import Mirror, Requirements, RobotModel, Scene, component, param, positive, scratch
from mtrack_body.feet import weight
from mtrack_body.names import body_columns, contact_columns, touches


@component
class BodyHeight:
    """Heights of bodies above the floor plane [m]."""

    sensors: ClassVar[tuple[str, ...]] = ("root_position",)

    bodies: tuple[str, ...] = param(default=("root", "feet", "torso"))
    """Bodies to observe: names or sets."""
    columns: Tensor = scratch()
    reflection: Mirror = scratch()

    def bind(self, scene: Scene) -> None:
        """Resolve the bodies. Raises NameProblem."""
        self.columns = body_columns(scene, self.bodies, entries=(2,))
        self.reflection = scene.model.body_mirror(scene.model.bodies(self.bodies), Mirror.scalar())

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, bodies] m."""
        return scene.robot.body_pos.flatten(1).index_select(1, self.columns)

    def mirror(self) -> Mirror:
        """Return the mirror of the bodies: they change sides."""
        return self.reflection


@component
class FootContact:
    """Contact force of each foot [weights of the robot] in the root frame, contact, contact time and air time."""

    sensors: ClassVar[tuple[str, ...]] = ("contact_force",)

    feet: tuple[str, ...] = param(default=("feet",))
    """Bodies to observe: names or sets."""
    max_force: float = param(default=10.0, validator=positive)
    """Bound of each component of the force [weights of the robot]."""
    columns: Tensor = scratch()
    reflection: Mirror = scratch()

    def requires(self, robot: RobotModel) -> Requirements:
        """Request the feet's contacts."""
        return touches(robot, self.feet)

    def bind(self, scene: Scene) -> None:
        """Resolve the feet. Raises NameProblem."""
        self.columns = (
            6 * contact_columns(scene, self.feet).unsqueeze(-1) + torch.arange(6, device=scene.device)
        ).flatten()
        partners = scene.model.partners(scene.model.expand(self.feet))
        self.reflection = Mirror.swap(partners, Mirror.cat([Mirror.vector(), Mirror.scalar(3)]))

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, 6 feet]: force (3), in contact, contact time [s], air time [s]."""
        contacts = scene.contacts
        force = (contacts.force @ scene.robot.root_rot).mul_(1.0 / weight(scene.model))
        state = torch.stack((contacts.in_contact, contacts.contact_time, contacts.air_time), dim=-1)
        every = torch.cat((force.clamp_(-self.max_force, self.max_force), state), dim=-1)
        return every.flatten(1).index_select(1, self.columns)

    def mirror(self) -> Mirror:
        """Return the mirror of the feet: they change sides."""
        return self.reflection
