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
    """Resets of randomizations: before the row has its new state."""
    reset: list[Callable[[Tensor], None]] = attrs.field(factory=list)
    """Resets of all other components: after it."""
    before_step: list[Callable[[], None]] = attrs.field(factory=list)
    before_substep: list[Callable[[int], None]] = attrs.field(factory=list)
    after_substep: list[Callable[[int], None]] = attrs.field(factory=list)
    progress: list[Callable[[float], None]] = attrs.field(factory=list)
    figures: list[Callable[[], Mapping[str, Tensor]]] = attrs.field(factory=list)


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
    """What one control step returns; `observations` are those of after the reset of finished rows."""

    observations: TensorDict
    reward: Tensor
    """[N, G], per group, scaled."""
    terminated: Tensor
    """bool [N]."""
    truncated: Tensor
    """bool [N]; never with `terminated`."""
    weight: Tensor
    """[N] 0 where the simulation broke: such a sample teaches nothing."""
    final_env_ids: Tensor
    """int64 [n] the truncated rows; those that terminated too where `Env.observe_terminated`."""
    final: TensorDict | None
    """Their true final observations, [n, ...]; None where there are no such rows."""


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
    """Gets the envs that diverged, int64 [n], with their raw reward terms, [n, R], before they are reset."""
    statistics: EpisodeStatistics
    observe_terminated: bool = False
    """Whether rows that terminate have a final observation too; learners that bootstrap need those truncated only."""
    observations: TensorDict = attrs.field(init=False)
    """The present observations: what the policy will act on next."""
    _group_weights: Tensor = attrs.field(init=False)

    def start(self, progress: float = 0.0) -> TensorDict:
        """Draw the startup randomizations, reset every row and return the first observations."""
        for call in self.calls.startup:
            call()
        everything = torch.arange(self.scene.num_envs, device=self.scene.device)
        self.set_progress(progress)
        self._reset(everything, failed=torch.zeros_like(everything, dtype=torch.bool))
        self.observations = self.observer.observe(self.scene, everything)
        return self.observations

    def step(self, action: Tensor) -> Step:
        """Advance every row by one control step under raw actions [N, A]."""
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
        self.backend.refresh()  # positions and velocities of the NEW state
        self.tracker.update()
        scene.episode_step += 1
        self.command.advance()  # so that robot and reference are compared at the same time

        broken = self.backend.diverged()
        raw, values, reward = self._reward(broken)
        terminated, truncated, reasons = self._end(broken)
        self.statistics.add(values, reward, reasons, terminated, truncated, scene.episode_step)

        # the host reads from the device this once in a step: on a GPU each reading waits for all that is under way
        flags = torch.stack((terminated | truncated, truncated, broken)).cpu()
        done, cut, gone = _sent([of_rows.nonzero().squeeze(-1) for of_rows in flags], scene.device)
        final_env_ids = done if self.observe_terminated else cut
        final = (
            self.observer.final_observations(scene.select(final_env_ids), final_env_ids) if len(final_env_ids) else None
        )
        if len(gone):
            self.report_diverged(gone, raw.index_select(0, gone))
        if len(done):
            self._reset(done, failed=terminated[done])
        self.observations = self.observer.observe(scene, done)
        weight = (~broken).to(reward.dtype)
        return Step(self.observations, reward, terminated, truncated, weight, final_env_ids, final)

    def set_progress(self, progress: float) -> None:
        """Tell every component the share of the phase's frames done."""
        self.scene.progress = progress
        scales = {group: schedule.at(progress) * self.scene.dt for group, schedule in self.group_scales.items()}
        rows = [[term.weight * scales[g] * (term.group == g) for g in self.group_scales] for term in self.rewards]
        self._group_weights = torch.tensor(rows, device=self.scene.device).reshape(len(rows), len(scales))
        self.statistics.set_weights(self._group_weights.sum(-1))
        for call in self.calls.progress:
            call(progress)

    def metrics(self) -> dict[str, Tensor]:
        """Return what components report of the present moment, scalars."""
        return {name: value for call in self.calls.metrics for name, value in call().items()}

    def _act(self, action: Tensor) -> None:
        scene = self.scene
        scene.previous_actions[:, 1] = scene.previous_actions[:, 0]
        scene.previous_actions[:, 0] = scene.action
        scene.action.copy_(self.action.apply(action))

    def _reward(self, broken: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return every term as computed [N, R], the same with 0 in rows that broke, and the groups' sums [N, G]."""
        raw = torch.stack([term.component(self.scene) for term in self.rewards], dim=-1)
        # a single NaN would reach every row through the normalised advantages
        broken |= ~torch.isfinite(raw).all(-1)
        values = raw.masked_fill(broken.unsqueeze(-1), 0.0)
        return raw, values, values @ self._group_weights

    def _end(self, broken: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return which rows terminate, which are truncated, and what each termination slot said (in order)."""
        step = self.scene.episode_step
        terminated = broken.clone()
        truncated = self.command.finished() | (step >= self.max_episode_steps)
        reasons = []
        for term in self.terminations:
            reason = term.component(self.scene) & (step > term.grace_steps)
            reasons.append(reason)
            if term.component.timeout:
                truncated = truncated | reason
            else:
                terminated = terminated | reason
        return terminated, truncated & ~terminated, [*reasons, broken]

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
    """Send lists of rows from the host to a device, in one copy that the host does not wait for."""
    together = torch.cat(list(env_ids))
    if device.type == "cuda":
        together = together.pin_memory()
    sent: Sequence[Tensor] = together.to(device, non_blocking=True).split([len(some) for some in env_ids])
    return sent
