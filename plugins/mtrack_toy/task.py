"""The toy task: bring both joints to a target that is drawn for each episode. The maximum reward is 1 per step.

One control step can reach any target (raw actions are position targets; a joint moves a known share of the way), so an
optimal policy has error 0, and reward 1, from the first step on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor

from mtrack import (
    Kinematics,
    Mirror,
    Motion,
    Reference,
    Robot,
    Scene,
    StartState,
    component,
    param,
    positive,
    scratch,
    state,
)

OPTIMUM = 1.0
"""Mean of `toy_closeness` per step under the best policy."""


@component
class ToyTarget:
    """Targets drawn uniformly from a range, constant for an episode of fixed length."""

    span: float = param(default=1.0, validator=positive)
    """Targets are drawn from -span to span [rad]."""
    steps: int = param(default=20, validator=positive)
    """Length of an episode [control steps]."""

    rng: Generator = state()
    target: Tensor = state()
    scene: Scene = scratch()

    def bind(self, scene: Scene, robot: Robot, motions: Mapping[str, tuple[float, Motion]]) -> None:
        """Allocate the targets; motions are not used."""
        self.scene = scene
        self.target = torch.zeros_like(scene.robot.joint_pos)
        self.publish()

    def reset(self, env_ids: Tensor, failed: Tensor) -> StartState:
        """Draw targets for environments; these start at rest at zero."""
        shape = (len(env_ids), self.target.shape[-1])
        drawn = torch.rand(shape, generator=self.rng, device=self.target.device)
        self.target.index_copy_(0, env_ids, (2 * drawn - 1) * self.span)
        self.publish()
        zero, root = torch.zeros_like(drawn), drawn.new_zeros(len(env_ids), 3)
        upright = torch.tensor([1.0, 0.0, 0.0, 0.0], device=drawn.device).repeat(len(env_ids), 1)
        return StartState(root, upright, root, root, zero, zero)

    def advance(self) -> None:
        """Do nothing: a target does not move."""

    def publish(self) -> None:
        """Publish the targets as the reference's joint positions."""
        robot = self.scene.robot
        still: dict[str, Any] = {"joint_pos": self.target, "joint_vel": torch.zeros_like(self.target)}
        for name in (
            "root_pos",
            "root_quat_wxyz",
            "root_lin_vel",
            "root_ang_vel",
            "body_pos",
            "body_quat_wxyz",
            "body_lin_vel",
            "body_ang_vel",
        ):
            still[name] = getattr(robot, name)
        none = self.target.new_zeros(len(self.target), 0)
        future = Kinematics(**{name: value.unsqueeze(1) for name, value in still.items()})
        self.scene.reference = Reference(**still, contact=none, future=future)

    def finished(self) -> Tensor:
        """Return bool [N]: environments whose episode has reached its length."""
        return self.scene.episode_step >= self.steps


@component
class ToyError:
    """Target minus joint position."""

    sensors: ClassVar[tuple[str, ...]] = ("joint_encoders",)

    sides: Mirror = scratch()

    def bind(self, scene: Scene) -> None:
        """Keep the mirror of the joints."""
        self.sides = scene.model.joint_mirror

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, J] rad."""
        return scene.reference.joint_pos - scene.robot.joint_pos

    def mirror(self) -> Mirror:
        """Return the mirror of the joints, which swaps the sides."""
        return self.sides


@component
class ToyCloseness:
    """exp(-mean |error| / sigma); 1 is perfect."""

    sigma: float = param(default=0.5, validator=positive)
    """Error at which the reward has fallen to 1/e [rad]."""

    def __call__(self, scene: Scene) -> Tensor:
        """Return the reward, [N], in (0, 1]."""
        error = scene.reference.joint_pos - scene.robot.joint_pos
        return (-error.abs().mean(-1) / self.sigma).exp()
