"""Rewards that compare the contacts of the feet with those of the reference."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrack import ContactSensor, Requirements, RobotModel, Scene, component, param, positive, scratch, state


def _sensor_columns(scene: Scene) -> Tensor:
    """Return the columns of the feet's contact sensors, in the order of `Reference.contact`, int64 [F]."""
    return scene.contacts.columns([scene.model.body_names[i] for i in scene.model.bodies("feet").tolist()])


@component
class FeetAirTimeRef:
    """A cost at touch-down if the foot's contact agreed with the reference for too little time since lift-off.

    Each foot has a clock that runs forward while robot and reference agree and backward while they do not; it is 0 in
    contact. At first contact the reward is min(clock - wanted, 0), summed over the feet.
    """

    wanted: float = param(default=0.5, validator=positive)
    """Time of agreement without a cost [s]."""
    clock: Tensor = state()
    """[N, F] s."""
    columns: Tensor = scratch()

    def requires(self, robot: RobotModel) -> Requirements:
        """Ask for the contacts of the feet."""
        return Requirements(contacts=(ContactSensor("feet"),))

    def bind(self, scene: Scene) -> None:
        """Find the feet."""
        self.columns = _sensor_columns(scene)
        self.clock = torch.zeros(scene.num_envs, len(self.columns), device=scene.device)

    def reset(self, env_ids: Tensor) -> None:
        """Set the clocks of some environments to 0."""
        self.clock.index_fill_(0, env_ids, 0.0)

    def __call__(self, scene: Scene) -> Tensor:
        """Advance the clocks by one step and return [N], at most 0 [s]."""
        touching = scene.contacts.in_contact.index_select(1, self.columns)
        landing = scene.contacts.first_contact.index_select(1, self.columns)
        agrees = touching == scene.reference.contact.bool()
        self.clock.add_(agrees * (2.0 * scene.dt) - scene.dt)
        lacking = (self.clock - self.wanted).clamp_max(0.0) * landing
        self.clock.mul_(~touching)
        return lacking.sum(1)


@component
class FeetContactRef:
    """A cost for each foot whose contact is unlike the reference's, or that is too low in the air or high in contact.

    -1 if they differ; both in the air: -(1 - clip((min(z_ankle, z_toe) - sole) / clearance, 0, 1)); both in contact:
    -clip((max(z_ankle, z_toe) - sole) / lift, 0, 1); mean over the feet.
    """

    sole: float = param(default=0.035)
    """Height of the ankle and toe frames above the floor when the foot is flat on it [m]."""
    clearance: float = param(default=0.12, validator=positive)
    """Height above that at which a swinging foot costs nothing [m]."""
    lift: float = param(default=0.09, validator=positive)
    """Height above that at which a foot in contact costs as much as one without contact [m]."""
    toes: list[str] = param(factory=lambda: ["toes"])
    """Bodies or named set of the toes, in the order of the feet."""
    columns: Tensor = scratch()
    pairs: Tensor = scratch()
    """Body indices of feet and toes, int64 [2 F]."""

    def requires(self, robot: RobotModel) -> Requirements:
        """Ask for the contacts of the feet."""
        return Requirements(contacts=(ContactSensor("feet"),))

    def bind(self, scene: Scene) -> None:
        """Find feet and toes."""
        self.columns = _sensor_columns(scene)
        model = scene.model
        self.pairs = torch.cat((model.bodies("feet"), model.bodies(self.toes))).to(scene.device)

    def __call__(self, scene: Scene) -> Tensor:
        """Return [N], in [-1, 0]."""
        touching = scene.contacts.in_contact.index_select(1, self.columns)
        standing = scene.reference.contact.bool()
        height = torch.unflatten(scene.robot.body_pos[..., 2].index_select(1, self.pairs), 1, (2, -1)) - self.sole
        low, high = height.aminmax(dim=1)
        air_cost = 1.0 - (low / self.clearance).clamp(0.0, 1.0)
        contact_cost = (high / self.lift).clamp(0.0, 1.0)
        cost = torch.where(touching, contact_cost, air_cost).masked_fill(touching != standing, 1.0)
        return -cost.mean(1)
