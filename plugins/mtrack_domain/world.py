"""Randomizations of the robot's surroundings: pushes and gravity."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrack import Requirements, RobotModel, Scene, component, param, scratch, state
from mtrack_domain.draws import Range, ordered, ordered_positive, uniform


def _three_sizes(_: object, __: object, value: tuple[float, ...]) -> None:
    if min(value) < 0.0:
        raise ValueError(f"sizes must not be negative, not {min(value)}")


@component
class Push:
    """Pushes the root: changes its velocity at random times, independently in each environment."""

    interval: Range = param(default=(1.0, 3.0), validator=ordered_positive)
    """Range of the time between two pushes [s]."""
    lin_vel: tuple[float, float, float] = param(default=(0.5, 0.5, 0.2), validator=_three_sizes)
    """Largest change of the linear velocity along x, y and z, in both directions [m/s]."""
    ang_vel: tuple[float, float, float] = param(default=(0.5, 0.5, 0.78), validator=_three_sizes)
    """Largest change of the angular velocity about x, y and z, in both directions [rad/s]."""
    rng: torch.Generator = state()
    countdown: Tensor = state()
    """[N] steps until the next push."""
    scene: Scene = scratch()
    size: Tensor = scratch()
    """[6] m/s and rad/s."""

    def bind(self, scene: Scene) -> None:
        """Allocate state."""
        self.scene = scene
        self.size = torch.tensor([*self.lin_vel, *self.ang_vel], device=scene.device)
        self.countdown = torch.full((scene.num_envs,), torch.inf, device=scene.device)

    def reset(self, env_ids: Tensor) -> None:
        """Draw the time of the first push of the given envs."""
        self.countdown.index_copy_(
            0, env_ids, self._steps(torch.rand(len(env_ids), generator=self.rng, device=env_ids.device))
        )

    def before_step(self) -> None:
        """Push the envs whose time has come, and draw the time of their next push."""
        # drawn for every env in every step: cheaper than checking which are due, and envs do not shift random streams
        draw = torch.rand(len(self.countdown), 7, generator=self.rng, device=self.countdown.device)
        self.countdown -= 1.0
        due = self.countdown <= 0.0
        kick = (draw[:, :6] * 2.0 - 1.0) * self.size
        self.scene.backend.push_root(kick * due.unsqueeze(-1))
        self.countdown.copy_(torch.where(due, self._steps(draw[:, 6]), self.countdown))

    def _steps(self, share: Tensor) -> Tensor:
        low, high = self.interval
        return ((low + (high - low) * share) / self.scene.dt).round().clamp_(min=1.0)


@component
class Gravity:
    """Changes gravity slightly along each axis; at each reset."""

    change: Range = param(default=(-0.1, 0.1), validator=ordered)
    """Range of the change along each axis [m/s^2]."""
    rng: torch.Generator = state()
    scene: Scene = scratch()
    nominal: Tensor = scratch()

    def requires(self, robot: RobotModel) -> Requirements:
        """Request gravity per environment."""
        return Requirements(model_fields=("opt.gravity",))

    def bind(self, scene: Scene) -> None:
        """Keep the compiled value."""
        self.scene = scene
        self.nominal = scene.backend.nominal("opt.gravity")

    def reset(self, env_ids: Tensor) -> None:
        """Draw for the given envs."""
        change = uniform(self.rng, (len(env_ids), 3), self.change).to(self.nominal)
        self.scene.backend.field("opt.gravity")[env_ids] = self.nominal + change
