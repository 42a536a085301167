"""Rolls out every clip from its first frame: a policy in the simulation, or a motionless robot without one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import attrs
import torch
from tensordict import TensorDict
from torch import Tensor

from mtrack import Env, Recipe, Schedule, StartState
from mtrack.api.abilities import PlaysClips
from mtrack.loop.env import RewardTerm
from mtrack.loop.learner import rollout_mode
from mtrack.loop.statistics import EpisodeStatistics
from mtrack.loop.wiring import Problems
from mtrack_eval.evaluated_run import EvaluatedRun
from mtrack_eval.pairing import clip_hashes, draws_hash, generators_of, short_hash
from mtrack_eval.scorer import Scorer
from mtrack_eval.snapshots import Snapshots
from mtrack_eval.statue import motionless

_CLIPS_AT_ONCE = 16
_MAX_ENVS = 2048  # more rollouts are split into batches
_NEVER = 2**31
AT_THE_END = 1.0 - 1e-6
"""Progress of a phase at which delays and other schedules have their final values, so that checkpoints compare."""

Policy = Callable[[TensorDict], Tensor]


@attrs.frozen(eq=False)
class Rollouts:
    """The results of C clips with R rollouts each."""

    values: dict[str, Tensor]
    """[C, R] by metric slot; NaN if a value is unknown."""
    failed: Tensor
    """bool [C, R]: failed by any success criterion."""
    frames: Tensor
    """[C, R] frames that were scored: those before the first failure, or all frames of a statue."""
    curves: dict[str, Tensor]
    """[T, C, R] distances by metric slot [mm]; NaN after a failure or the end of the clip."""
    draws: str = ""
    """Hash of the random draws at the start of the rollouts."""
    poses: Tensor | None = None
    """[2, P, 7 + J, C, R] poses of robot and reference at the P frames of `spaced`; None if not requested."""


@attrs.define(eq=False)
class Arena:
    """The environment of an evaluation."""

    env: Env
    scorer: Scorer
    command: PlaysClips
    names: tuple[str, ...]
    """Names of the clips."""
    lengths: Tensor
    """int64 [C] frames of each clip that are scored: all but the first."""
    num_actions: int
    rollouts: int
    """Rollouts per clip."""
    agent: Any
    """The agent of the checkpoint."""
    actor: str
    generators: Sequence[torch.Generator] = ()
    """From which the starts of rollouts are drawn."""
    hashes: Mapping[str, str] = attrs.field(factory=dict)
    """Content hash of each clip, if the command knows it."""

    def policy(self, num_poses: int = 0, clips: Sequence[int] = ()) -> Rollouts:
        """Roll out the deterministic policy of the checkpoint; keep `num_poses` poses of each rollout."""
        self.scorer.snapshots = Snapshots(num_poses) if num_poses else None
        rollouts = self._simulate(lambda observations: self.agent.policy(observations, self.actor), clips)
        self.scorer.snapshots = None
        return rollouts

    def record(self, clip: int) -> Rollouts:
        """Roll out one clip with the policy, and keep the poses of every scored frame; the results have C = 1."""
        self.scorer.snapshots = Snapshots(int(self.lengths[clip]))
        rollouts = self._simulate(lambda observations: self.agent.policy(observations, self.actor), [clip])
        self.scorer.snapshots = None
        return rollouts

    def recorded(self, states: Sequence[StartState], clips: Sequence[int]) -> Rollouts:
        """Score states that another simulation has recorded, instead of simulating: of each frame of some clips.

        Each is [clips * rollouts], the rollouts of one clip after the other. What is not a pose or a velocity, such as
        torques, has no meaning in the results. Raises ValueError if there are more clips than fit at once.
        """
        if len(clips) * self.rollouts != self.env.scene.num_envs:
            raise ValueError(f"{len(clips)} clips with {self.rollouts} rollouts are not {self.env.scene.num_envs}")

        def play(lengths: Tensor) -> None:
            self._show(states[0])
            self.scorer.begin(self.env.scene, lengths)
            for state in states[1:]:
                self.env.command.advance()
                self._show(state)
                self.scorer(self.env.scene)

        return self._each(play, clips)

    def zero_action(self) -> Rollouts:
        """Roll out a policy whose actions are always zero."""
        zeros = torch.zeros(self.env.scene.num_envs, self.num_actions, device=self.env.scene.device)
        return self._simulate(lambda observations: zeros)

    def statue(self) -> Rollouts:
        """Score a robot that keeps the pose of frame 0, without simulation, against the whole clip."""

        def play(lengths: Tensor) -> None:
            scene = self.env.scene
            still = motionless(scene)
            self.scorer.begin(still, lengths, count_failed=True)
            for _ in range(int(lengths.max())):
                self.env.command.advance()
                still.reference = scene.reference
                self.scorer(still)

        return self._each(play)

    def _show(self, state: StartState) -> None:
        """Put all envs into a state, without a step."""
        everything = torch.arange(self.env.scene.num_envs, device=self.env.scene.device)
        self.env.backend.set_state(everything, state)
        self.env.backend.forward(everything, state.joint_pos)
        self.env.backend.refresh()

    def _simulate(self, policy: Policy, clips: Sequence[int] = ()) -> Rollouts:
        def play(lengths: Tensor) -> None:
            self.scorer.begin(self.env.scene, lengths)
            for _ in range(int(lengths.max())):
                self.env.step(policy(self.env.observations))

        return self._each(play, clips)

    def _each(self, play: Callable[[Tensor], None], clips: Sequence[int] = ()) -> Rollouts:
        """Play some clips, all by default, in batches of as many as there are envs for."""
        at_once, device = self.env.scene.num_envs // self.rollouts, self.env.scene.device
        chosen = torch.tensor(list(clips or range(len(self.names))), device=device)
        count, parts = len(chosen), []
        with rollout_mode(self.env.scene.num_envs):
            for first in range(0, count, at_once):
                batch = torch.arange(first, first + at_once, device=device).clamp_max(count - 1)
                clip_of_env = chosen[batch].repeat_interleave(self.rollouts)
                self.command.pin_clips(clip_of_env)
                self.env.start(progress=AT_THE_END)
                draws = draws_hash(self.generators)
                play(self.lengths[clip_of_env])
                parts.append(_results(self.scorer, self.rollouts, min(at_once, count - first), draws))
                self.scorer.left = self.scorer.left[:0]
        return _concatenated(parts)


def prepare(opened: EvaluatedRun, clips_at_once: int | None = None) -> Arena:
    """Build environment and agent for a command that plays clips, by default for as many clips at once as possible."""
    recipe, rollouts = opened.recipe, opened.rollouts
    num_envs = (clips_at_once or max(1, min(_max_clips(recipe), _MAX_ENVS // rollouts))) * rollouts
    assembly, agent = opened.assemble(num_envs)
    scorer = Scorer({name: assembly.components[slot.path] for name, slot in recipe.metrics.items()})
    env = attrs.evolve(
        assembly.env,
        rewards=[RewardTerm("rewards.evaluation", "evaluation", scorer, 0.0)],
        group_scales={"evaluation": Schedule.constant(0.0)},
        terminations=[],  # success is decided by the metrics
        max_episode_steps=_NEVER,
        statistics=EpisodeStatistics(num_envs, ["evaluation"], ["evaluation"], ["diverged"], recipe.resolved_device),
    )
    command = cast(PlaysClips, env.command)
    names, frames = zip(*command.clip_frames(), strict=True)
    lengths = torch.tensor(frames, device=env.scene.device) - 1
    return Arena(
        env=env,
        scorer=scorer,
        command=command,
        names=names,
        lengths=lengths,
        num_actions=assembly.layout.num_actions,
        rollouts=rollouts,
        agent=agent,
        actor=opened.actor,
        generators=generators_of(assembly.components),
        hashes=clip_hashes(command),
    )


def _max_clips(recipe: Recipe) -> int:
    """Return an upper bound of the number of clips; a command with its own clips plays some at a time."""
    problems, count = Problems(recipe), 0
    with problems.of(recipe.robot):
        model = recipe.robot.build().model()
    for slot in recipe.motions.values():
        with problems.of(slot):
            count += len(slot.build().clips(model))
    problems.raise_if_any()
    return count or _CLIPS_AT_ONCE


def _results(scorer: Scorer, rollouts: int, clips: int, draws: str) -> Rollouts:
    """Return the results of the first `clips` clips, on the CPU."""

    def table(values: Tensor) -> Tensor:
        return values.view(*values.shape[:-1], -1, rollouts)[..., :clips, :].cpu()

    return Rollouts(
        values={slot: table(metric.value()).double() for slot, metric in scorer.metrics.items()},
        failed=table(scorer.failed),
        frames=table(scorer.frames),
        curves={slot: table(torch.stack(values)) for slot, values in scorer.curves.items()},
        draws=draws,
        poses=table(scorer.snapshots.poses) if scorer.snapshots else None,
    )


def _concatenated(parts: list[Rollouts]) -> Rollouts:
    """Return the rollouts of several batches as one."""
    longest = max((len(curve) for part in parts for curve in part.curves.values()), default=0)

    def padded(curve: Tensor) -> Tensor:
        rest = curve.new_full((longest - len(curve), *curve.shape[1:]), torch.nan)
        return torch.cat((curve, rest))

    first, poses = parts[0], [part.poses for part in parts if part.poses is not None]
    return Rollouts(
        values={slot: torch.cat([part.values[slot] for part in parts]) for slot in first.values},
        failed=torch.cat([part.failed for part in parts]),
        frames=torch.cat([part.frames for part in parts]),
        curves={slot: torch.cat([padded(part.curves[slot]) for part in parts], dim=1) for slot in first.curves},
        draws=short_hash([part.draws for part in parts]),
        poses=torch.cat(poses, dim=-2) if poses else None,
    )
