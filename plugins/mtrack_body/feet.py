"""Rewards for the feet: air time, slip, stumbling, impact, tilt."""

from __future__ import annotations

from torch import Tensor

from mtrack import Requirements, RobotModel, Scene, component, non_negative, param, positive, scratch
from mtrack_body.names import body_columns, contact_columns, touches

_GRAVITY = 9.81  # m/s^2


def weight(robot: RobotModel) -> float:
    """Return the weight of a robot [N]."""
    return robot.mass * _GRAVITY


@component
class FeetAirTime:
    """sum over feet of (air time - threshold) when a foot lands: rewards long steps, penalises short ones."""

    feet: tuple[str, ...] = param(default=("feet",))
    """Bodies that count: names or sets."""
    threshold: float = param(default=0.4, validator=non_negative)
    """Air time that gives no reward [s]."""
    columns: Tensor = scratch()

    def requires(self, robot: RobotModel) -> Requirements:
        """Request the feet's contacts."""
        return touches(robot, self.feet)

    def bind(self, scene: Scene) -> None:
        """Resolve the feet. Raises NameProblem."""
        self.columns = contact_columns(scene, self.feet)

    def __call__(self, scene: Scene) -> Tensor:
        """Return [N] s."""
        contacts = scene.contacts
        excess = (contacts.last_air_time - self.threshold) * contacts.first_contact
        return excess.index_select(1, self.columns).sum(-1)


@component
class FeetSlip:
    """-sum of the horizontal speed of feet in contact."""

    feet: tuple[str, ...] = param(default=("feet",))
    """Bodies that count: names or sets."""
    velocities: Tensor = scratch()
    columns: Tensor = scratch()

    def requires(self, robot: RobotModel) -> Requirements:
        """Request the feet's contacts."""
        return touches(robot, self.feet)

    def bind(self, scene: Scene) -> None:
        """Resolve the feet. Raises NameProblem."""
        self.velocities = body_columns(scene, self.feet, entries=(0, 1))
        self.columns = contact_columns(scene, self.feet)

    def __call__(self, scene: Scene) -> Tensor:
        """Return [N] m/s, at most 0."""
        velocity = scene.robot.body_lin_vel.flatten(1).index_select(1, self.velocities)
        speed = velocity.square().view(-1, len(self.columns), 2).sum(-1).sqrt()
        return -(speed * scene.contacts.in_contact.index_select(1, self.columns)).sum(-1)


@component
class Stumble:
    """-1 while the horizontal force on a foot is much larger than the vertical one: it has hit something."""

    feet: tuple[str, ...] = param(default=("feet",))
    """Bodies that count: names or sets."""
    ratio: float = param(default=4.0, validator=positive)
    """Ratio of horizontal to vertical force above which a foot stumbles."""
    columns: Tensor = scratch()

    def requires(self, robot: RobotModel) -> Requirements:
        """Request the feet's contacts."""
        return touches(robot, self.feet)

    def bind(self, scene: Scene) -> None:
        """Resolve the feet. Raises NameProblem."""
        self.columns = contact_columns(scene, self.feet)

    def __call__(self, scene: Scene) -> Tensor:
        """Return [N], 0 or -1."""
        force = scene.contacts.force.index_select(1, self.columns)
        stumbles: Tensor = force[..., :2].norm(dim=-1) > self.ratio * force[..., 2].abs()
        return -stumbles.any(-1).float()


@component
class ImpactForce:
    """-sum over feet of relu(contact force / weight of the robot - threshold)."""

    feet: tuple[str, ...] = param(default=("feet",))
    """Bodies that count: names or sets."""
    threshold: float = param(default=1.5, validator=non_negative)
    """Force without penalty [weights of the robot]."""
    columns: Tensor = scratch()

    def requires(self, robot: RobotModel) -> Requirements:
        """Request the feet's contacts."""
        return touches(robot, self.feet)

    def bind(self, scene: Scene) -> None:
        """Resolve the feet. Raises NameProblem."""
        self.columns = contact_columns(scene, self.feet)

    def __call__(self, scene: Scene) -> Tensor:
        """Return [N], at most 0."""
        force: Tensor = scene.contacts.force.index_select(1, self.columns).norm(dim=-1)
        return -(force / weight(scene.model) - self.threshold).relu().sum(-1)


@component
class FeetUpright:
    """-sum over feet of |horizontal part of gravity's direction in the foot frame|^2; 0 if the soles are level."""

    feet: tuple[str, ...] = param(default=("feet",))
    """Bodies that count: names or sets."""
    bodies: Tensor = scratch()

    def bind(self, scene: Scene) -> None:
        """Resolve the feet. Raises NameProblem."""
        self.bodies = scene.model.bodies(self.feet).to(scene.device)

    def __call__(self, scene: Scene) -> Tensor:
        """Return [N], at most 0."""
        # the third row of a rotation matrix is the world's vertical in the body frame
        return -scene.robot.body_rot[:, self.bodies, 2, :2].square().sum((-2, -1))
