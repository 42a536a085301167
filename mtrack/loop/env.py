"""The environment loop: N robots, one control step at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import attrs
import torch
from tensordict import TensorDict
from torch import Tensor

from mtrack.api.protocols import Action, Backend, Command, Reward, Termination
from mtrack.api.scene import Scene
from mtrack.api.schedule import Schedule
from mtrack.loop.contacts import ContactTracker
from mtrack.loop.observe import Observer
from mtrack.loop.statistics import EpisodeStatistics


@attrs.define(eq=False)
class LifecycleCalls:
    """The optional calls of all components, resolved once at assembly: nothing in the loop asks who can do what."""

    startup: list[Callable[[], None]] = attrs.field(factory=list)
    randomize: list[Callable[[Tensor], None]] = attrs.field(factory=list)
    """Resets of randomizations, called before an env gets its new state."""
    reset: list[Callable[[Tensor], None]] = attrs.field(factory=list)
    """Resets of all other components, called after it."""
    before_step: list[Callable[[], None]] = attrs.field(factory=list)
    before_substep: list[Callable[[int], None]] = attrs.field(factory=list)
    after_substep: list[Callable[[int], None]] = attrs.field(factory=list)
    progress: list[Callable[[float], None]] = attrs.field(factory=list)
    metrics: list[Callable[[], Mapping[str, Tensor]]] = attrs.field(factory=list)


@attrs.frozen(eq=False)
class RewardTerm:
    """One reward slot."""

    path: str
    group: str
    component: Reward
    weight: float


@attrs.frozen(eq=False)
class TerminationTerm:
    """One termination slot."""

    slot: str
    component: Termination
    grace_steps: int


@attrs.frozen(eq=False)
class Step:
    """The result of one control step."""

    observations: TensorDict
    """[N, ...] of each group, after the reset of the envs that ended."""
    reward: Tensor
    """[N, G] reward of each group, scaled."""
    terminated: Tensor
    """bool [N]."""
    truncated: Tensor
    """bool [N]; never with `terminated`."""
    weight: Tensor
    """[N] 0 for envs whose simulation diverged, so that losses leave this sample out; otherwise 1."""
    final_env_ids: Tensor
    """int64 [n] the envs that were truncated; with `Env.observe_terminated` also those that terminated."""
    final: TensorDict | None
    """Observations of these envs before their reset, [n, ...]; None if there are no such envs."""


@attrs.define(eq=False)
class Env:
    """N environments of one task; `mtrack.loop.assemble` makes it."""

    scene: Scene
    backend: Backend
    action: Action
    command: Command
    observer: Observer
    rewards: list[RewardTerm]
    group_scales: Mapping[str, Schedule]
    terminations: list[TerminationTerm]
    calls: LifecycleCalls
    tracker: ContactTracker
    max_episode_steps: int
    report_diverged: Callable[[Tensor, Tensor], None]
    """Receives the envs that diverged, int64 [n], and their raw reward terms, [n, R], before these envs are reset."""
    statistics: EpisodeStatistics
    observe_terminated: bool = False
    """Whether terminated envs get a final observation too; bootstrapping needs it for truncated envs only."""
    observations: TensorDict = attrs.field(init=False)
    """The observations that the policy acts on next, [N, ...] of each group."""
    _group_weights: Tensor = attrs.field(init=False)

    def start(self, progress: float = 0.0) -> TensorDict:
        """Draw the startup randomizations, reset every env and return the first observations."""
        for call in self.calls.startup:
            call()
        everything = torch.arange(self.scene.num_envs, device=self.scene.device)
        self.set_progress(progress)
        self._reset(everything, failed=torch.zeros_like(everything, dtype=torch.bool))
        self.observations = self.observer.observe(self.scene, everything)
        return self.observations

    def restart(self, env_ids: Tensor) -> TensorDict:
        """End the episodes of some envs, int64 [n], without a failure; return the observations of every env, [N, ...].

        Startup randomizations keep their values. Observations and history of the other envs do not change.
        """
        self._reset(env_ids, failed=torch.zeros_like(env_ids, dtype=torch.bool))
        self.statistics.episode_return.index_fill_(0, env_ids, 0.0)
        fresh = self.observer.restart(self.scene.select(env_ids), env_ids)
        self.observations = self.observations.clone()  # a caller may keep the earlier ones
        self.observations[env_ids] = fresh
        return self.observations

    def step(self, action: Tensor) -> Step:
        """Advance every env by one control step with raw actions [N, A]."""
        scene = self.scene
        for call in self.calls.before_step:  # interval randomizations, such as pushes
            call()
        self._act(action)
        for substep in range(scene.decimation):
            for before in self.calls.before_substep:
                before(substep)
            self.backend.step(self.action.target(substep), last=substep == scene.decimation - 1)
            self.tracker.after_substep()
            for after in self.calls.after_substep:
                after(substep)
        self.backend.refresh()  # positions and velocities after the substeps
        self.tracker.update()
        scene.episode_step += 1
        self.command.advance()  # so that robot and reference are compared at the same time

        diverged = self.backend.diverged()
        raw, values, reward = self._reward(diverged)
        terminated, truncated, reasons = self._end(diverged)
        self.statistics.add(values, reward, reasons, terminated, truncated, scene.episode_step)

        # the only read from the device in a step: on a GPU each one waits for all queued work
        flags = torch.stack((terminated | truncated, truncated, diverged)).cpu()
        done, cut, gone = _sent([flag.nonzero().squeeze(-1) for flag in flags], scene.device)
        final_env_ids = done if self.observe_terminated else cut
        final = (
            self.observer.final_observations(scene.select(final_env_ids), final_env_ids) if len(final_env_ids) else None
        )
        if len(gone):
            self.report_diverged(gone, raw.index_select(0, gone))
        if len(done):
            self._reset(done, failed=terminated[done])
        self.observations = self.observer.observe(scene, done)
        weight = (~diverged).to(reward.dtype)
        return Step(self.observations, reward, terminated, truncated, weight, final_env_ids, final)

    def set_progress(self, progress: float) -> None:
        """Set the progress of the phase, the share of its frames that are done, for every component."""
        self.scene.progress = progress
        scales = {group: schedule.at(progress) * self.scene.dt for group, schedule in self.group_scales.items()}
        weights = torch.zeros(len(self.rewards), len(scales))
        for index, term in enumerate(self.rewards):
            weights[index, list(scales).index(term.group)] = term.weight * scales[term.group]
        self._group_weights = weights.to(self.scene.device)
        self.statistics.set_weights(self._group_weights.sum(-1))
        for call in self.calls.progress:
            call(progress)

    def metrics(self) -> dict[str, Tensor]:
        """Return the metrics that components report, scalars."""
        return {name: value for call in self.calls.metrics for name, value in call().items()}

    def _act(self, action: Tensor) -> None:
        scene = self.scene
        scene.previous_actions[:, 1] = scene.previous_actions[:, 0]
        scene.previous_actions[:, 0] = scene.action
        scene.action.copy_(self.action.apply(action))

    def _reward(self, diverged: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return every term as computed [N, R], the same with 0 for diverged envs, and the group sums [N, G]."""
        raw = torch.stack([term.component(self.scene) for term in self.rewards], dim=-1)
        # a single NaN would reach every env through the normalised advantages
        diverged |= ~torch.isfinite(raw).all(-1)
        values = raw.masked_fill(diverged.unsqueeze(-1), 0.0)
        return raw, values, values @ self._group_weights

    def _end(self, diverged: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return which envs terminate, which are truncated, and the result of each termination slot, in order."""
        step = self.scene.episode_step
        terminated = diverged.clone()
        truncated = self.command.finished() | (step >= self.max_episode_steps)
        reasons = []
        for term in self.terminations:
            reason = term.component(self.scene) & (step > term.grace_steps)
            reasons.append(reason)
            if term.component.timeout:
                truncated = truncated | reason
            else:
                terminated = terminated | reason
        return terminated, truncated & ~terminated, [*reasons, diverged]

    def _reset(self, env_ids: Tensor, failed: Tensor) -> None:
        scene = self.scene
        scene.episode_step.index_fill_(0, env_ids, 0)
        scene.action.index_fill_(0, env_ids, 0.0)
        scene.previous_actions.index_fill_(0, env_ids, 0.0)
        for call in self.calls.randomize:
            call(env_ids)
        start = self.command.reset(env_ids, failed)
        self.backend.set_state(env_ids, start)
        scene.robot.joint_pos.index_copy_(0, env_ids, start.joint_pos)  # the pose the action starts from
        self.action.reset(env_ids)
        self.backend.forward(env_ids, self.action.current_target[env_ids])
        self.backend.refresh(env_ids)
        self.tracker.reset(env_ids)
        for call in self.calls.reset:
            call(env_ids)


def _sent(env_ids: Sequence[Tensor], device: torch.device) -> Sequence[Tensor]:
    """Copy lists of env ids from the host to a device, all at once and without waiting for it."""
    together = torch.cat(list(env_ids))
    if device.type == "cuda":
        together = together.pin_memory()
    sent: Sequence[Tensor] = together.to(device, non_blocking=True).split([len(some) for some in env_ids])
    return sent
