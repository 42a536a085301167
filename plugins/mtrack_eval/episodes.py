"""Rolls out whole episodes, which end as in training, and records returns, ends, metrics and poses of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import torch
from torch import Tensor

from mtrack import Env, Metric, Reward, Scene
from mtrack.api.abilities import Judges
from mtrack.loop.learner import rollout_mode
from mtrack.loop.statistics import EpisodeStatistics
from mtrack_eval.rollouts import AT_THE_END, Policy

DIVERGED = "diverged"
"""Listed with the termination slots: the simulation of the env diverged."""


@attrs.frozen(eq=False)
class Episodes:
    """The results of E episodes, on the CPU."""

    values: dict[str, Tensor]
    """[E] by name: `length` [steps], `return`, `return/GROUP`, `return/GROUP/TERM`, and each metric slot."""
    failed: Tensor
    """bool [E]: ended by a termination (not by a time limit), or because the simulation diverged."""
    ended_by: dict[str, Tensor]
    """bool [E] by termination slot, and `DIVERGED`."""
    poses: Tensor
    """[T + 1, P, 7 + J] of the first P episodes: root position [m], its quaternion w, x, y, z, joints [rad].

    From the start state (frame 0) to the state in which the episode ended (frame `length`); NaN after it.
    """

    @property
    def lengths(self) -> Tensor:
        """Steps of each episode, int64 [E]."""
        return self.values["length"].long()

    def failures_of(self, episode: int) -> list[str]:
        """Return the termination slots that ended an episode."""
        return [slot for slot, ended in self.ended_by.items() if ended[episode]]


class _RecordedReward:
    """A reward term that keeps its newest value."""

    def __init__(self, reward: Reward) -> None:
        self.reward = reward
        self.newest = torch.zeros(0)

    def __call__(self, scene: Scene) -> Tensor:
        self.newest = self.reward(scene)
        return self.newest


class _Recorder(EpisodeStatistics):
    """Records the first episode of each env.

    It replaces the environment's statistics, which are called when state, rewards and ends belong to the same step and
    no env has been reset yet.
    """

    def __init__(self, env: Env, metrics: Mapping[str, Metric], num_filmed: int) -> None:
        scene, slots = env.scene, [term.slot for term in env.terminations]
        super().__init__(scene.num_envs, [], list(env.group_scales), [*slots, DIVERGED], str(scene.device))
        self.env, self.metrics, self.num_filmed = env, metrics, num_filmed
        self.slots = (*slots, DIVERGED)
        self.terms = [(term, _RecordedReward(term.component)) for term in env.rewards]

    def set_weights(self, weights: Tensor) -> None:
        """Do nothing: this recorder keeps the values of each term per episode."""

    def begin(self) -> None:
        """Start recording new episodes; every env has just been reset."""
        scene = self.env.scene
        self.running = torch.ones(scene.num_envs, dtype=torch.bool, device=scene.device)
        self.length = torch.zeros_like(self.running, dtype=torch.int64)
        self.failed = torch.zeros_like(self.running)
        self.by_group = torch.zeros(scene.num_envs, len(self.env.group_scales), device=scene.device)
        self.by_term = torch.zeros(len(self.terms), scene.num_envs, device=scene.device)
        self.ends = torch.zeros(len(self.slots), scene.num_envs, dtype=torch.bool, device=scene.device)
        for metric in self.metrics.values():
            metric.begin(scene)
        self.poses = [self._pose()]

    def add(
        self,
        values: Tensor,
        reward: Tensor,
        reasons: Sequence[Tensor],
        terminated: Tensor,
        truncated: Tensor,
        episode_step: Tensor,
    ) -> None:
        """Record one step of the envs whose first episode has not ended; see `EpisodeStatistics.add`."""
        running, diverged, scene = self.running, reasons[-1], self.env.scene
        counts = running & ~diverged
        self.length += running
        self.by_group += torch.where(running.unsqueeze(-1), reward, 0.0)
        for index, (term, recorded) in enumerate(self.terms):
            scale = term.weight * self.env.group_scales[term.group].at(scene.progress) * scene.dt
            self.by_term[index] += torch.where(counts, recorded.newest * scale, 0.0)
        for metric in self.metrics.values():
            metric.add(scene, counts)
            if isinstance(metric, Judges):
                metric.failed |= running & diverged
        ended = running & (terminated | truncated)
        self.failed |= running & terminated
        self.ends |= torch.stack(list(reasons)) & ended
        self.poses.append(torch.where(running[: self.num_filmed].unsqueeze(-1), self._pose(), torch.nan))
        self.running = running & ~ended

    def results(self, count: int) -> Episodes:
        """Return the episodes of the first `count` envs."""
        values = {"length": self.length.double(), "return": self.by_group.sum(-1)}
        values |= {f"return/{group}": self.by_group[:, i] for i, group in enumerate(self.env.group_scales)}
        for index, (term, _) in enumerate(self.terms):
            values[f"return/{term.path.partition('.')[2].replace('.', '/')}"] = self.by_term[index]
        values |= {slot: metric.value() for slot, metric in self.metrics.items()}
        return Episodes(
            values={name: value[:count].double().cpu() for name, value in values.items()},
            failed=self.failed[:count].cpu(),
            ended_by={slot: self.ends[i, :count].cpu() for i, slot in enumerate(self.slots)},
            poses=torch.stack(self.poses)[:, :count].cpu(),
        )

    def _pose(self) -> Tensor:
        robot, filmed = self.env.scene.robot, slice(self.num_filmed)
        return torch.cat((robot.root_pos[filmed], robot.root_quat_wxyz[filmed], robot.joint_pos[filmed]), dim=-1)


def roll_out(
    env: Env, policy: Policy, count: int, metrics: Mapping[str, Metric] | None = None, num_filmed: int = 0
) -> Episodes:
    """Roll out `count` episodes and return their results, with the poses of the first `num_filmed`.

    Only the first episode of each env counts; otherwise short episodes would be counted more often than long ones. The
    policy maps observations to raw actions [N, A]. `num_filmed` is at most the number of envs.
    """
    recorder = _Recorder(env, metrics or {}, num_filmed)
    rewards = [attrs.evolve(term, component=reward) for term, reward in recorder.terms]
    recorded = attrs.evolve(env, rewards=rewards, statistics=recorder)
    parts: list[Episodes] = []
    with rollout_mode(env.scene.num_envs):
        for first in range(0, count, env.scene.num_envs):
            recorded.start(progress=AT_THE_END)
            recorder.begin()
            while bool(recorder.running.any()):
                recorded.step(policy(recorded.observations))
            parts.append(recorder.results(min(env.scene.num_envs, count - first)))
            recorder.num_filmed = 0  # only the first batch is filmed
    return _concatenated(parts)


def _concatenated(parts: Sequence[Episodes]) -> Episodes:
    """Return the episodes of several batches as one."""

    def each(name: str) -> dict[str, Any]:
        tables = [getattr(part, name) for part in parts]
        return {key: torch.cat([table[key] for table in tables]) for key in tables[0]}

    return Episodes(
        values=each("values"),
        failed=torch.cat([part.failed for part in parts]),
        ended_by=each("ended_by"),
        poses=parts[0].poses,
    )
