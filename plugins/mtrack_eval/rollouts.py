"""Rolls every clip out from its first frame: a policy in the simulation, or a statue without one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import attrs
import torch
from tensordict import TensorDict
from torch import Tensor

from mtrack import Contacts, Env, Kinematics, Recipe, Scene, Schedule
from mtrack.api.abilities import PlaysClips
from mtrack.loop.env import RewardTerm
from mtrack.loop.learner import rollout_mode
from mtrack.loop.statistics import EpisodeStatistics
from mtrack.loop.wiring import Problems
from mtrack_eval.scorer import Scorer
from mtrack_eval.snapshots import Snapshots
from mtrack_eval.subject import Subject

_ROLLOUTS = 8
_CLIPS_AT_ONCE = 16
_MOST_ROWS = 2048  # more are rolled out in turns
_NEVER = 2**31
AT_THE_END = 1.0 - 1e-6  # of a phase: delays and the like at their full size, so that any two checkpoints compare

Policy = Callable[[TensorDict], Tensor]


@attrs.frozen(eq=False)
class Rollouts:
    """What came of C clips with R rollouts each."""

    values: dict[str, Tensor]
    """[C, R] by metric slot; NaN where there is nothing to tell."""
    failed: Tensor
    """bool [C, R], by any judge."""
    frames: Tensor
    """[C, R] frames that counted: those before the first failure; all of a statue's."""
    curves: dict[str, Tensor]
    """[T, C, R] distances by metric slot, NaN after a failure or the end [mm]."""
    poses: Tensor | None = None
    """[2, P, 7 + J, C, R] of robot and reference at the P frames of `spaced`, where they were wanted."""


@attrs.define(eq=False)
class Arena:
    """The environment of an evaluation."""

    env: Env
    scorer: Scorer
    command: PlaysClips
    names: tuple[str, ...]
    """Names of the clips."""
    lengths: Tensor
    """Frames of each clip that are scored: all but the first, int64 [C]."""
    num_actions: int
    rollouts: int
    agent: Any
    """Of the checkpoint."""
    actor: str

    def policy(self, num_poses: int = 0) -> Rollouts:
        """Roll the deterministic policy of the checkpoint out; keep as many poses of each rollout."""
        self.scorer.snapshots = Snapshots(num_poses) if num_poses else None
        rollouts = self._act(lambda observations: self.agent.policy(observations, self.actor))
        self.scorer.snapshots = None
        return rollouts

    def zero_action(self) -> Rollouts:
        """Roll the policy out that always gives zeros."""
        zeros = torch.zeros(self.env.scene.num_envs, self.num_actions, device=self.env.scene.device)
        return self._act(lambda observations: zeros)

    def statue(self) -> Rollouts:
        """Score frame 0 of each clip, held as it is without any simulation, against the whole of the clip."""

        def hold(lengths: Tensor) -> None:
            scene = self.env.scene
            still = _still(scene)
            self.scorer.begin(still, lengths, goes_on=True)
            for _ in range(int(lengths.max())):
                self.env.command.advance()
                still.reference = scene.reference
                self.scorer(still)

        return self._each(hold)

    def _act(self, policy: Policy) -> Rollouts:
        def act(lengths: Tensor) -> None:
            self.scorer.begin(self.env.scene, lengths)
            for _ in range(int(lengths.max())):
                self.env.step(policy(self.env.observations))

        return self._each(act)

    def _each(self, play: Callable[[Tensor], None]) -> Rollouts:
        """Play the clips, as many at once as there are rows for."""
        at_once = self.env.scene.num_envs // self.rollouts
        count, parts = len(self.names), []
        with rollout_mode(self.env.scene.num_envs):
            for first in range(0, count, at_once):
                clips = torch.arange(first, first + at_once, device=self.env.scene.device).clamp_max(count - 1)
                rows = clips.repeat_interleave(self.rollouts)
                self.command.pin_clips(rows)
                self.env.start(progress=AT_THE_END)
                play(self.lengths[rows])
                parts.append(_taken(self.scorer, self.rollouts, min(at_once, count - first)))
                self.scorer.left = self.scorer.left[:0]
        return _joined(parts)


def prepare(subject: Subject) -> Arena:
    """Build environment and agent for a command that plays clips."""
    recipe, rollouts = subject.recipe, subject.wishes.rollouts or _ROLLOUTS
    rows = max(1, min(_clips_at_most(recipe), _MOST_ROWS // rollouts)) * rollouts
    assembly, agent = subject.assemble(rows)
    scorer = Scorer({name: assembly.components[slot.path] for name, slot in recipe.metrics.items()})
    env = attrs.evolve(
        assembly.env,
        rewards=[RewardTerm("rewards.evaluation", "evaluation", scorer, 0.0)],
        group_scales={"evaluation": Schedule.constant(0.0)},
        terminations=[],  # success is decided by the metrics
        max_episode_steps=_NEVER,
        statistics=EpisodeStatistics(rows, ["evaluation"], ["evaluation"], ["broken"], recipe.place),
    )
    command = cast(PlaysClips, env.command)
    names, frames = zip(*command.clip_frames(), strict=True)
    lengths = torch.tensor(frames, device=env.scene.device) - 1
    return Arena(env, scorer, command, names, lengths, assembly.layout.num_actions, rollouts, agent, subject.actor)


def _clips_at_most(recipe: Recipe) -> int:
    """Return how many clips there can be; a command with clips of its own plays some at a time."""
    problems, count = Problems(recipe), 0
    with problems.of(recipe.robot):
        model = recipe.robot.build().model()
    for slot in recipe.motions.values():
        with problems.of(slot):
            count += len(slot.build().clips(model))
    problems.raise_if_any()
    return count or _CLIPS_AT_ONCE


def _still(scene: Scene) -> Scene:
    """Return a scene whose robot is the present reference, standing still; what only physics tells is NaN."""
    pose = {field.name for field in attrs.fields(Kinematics)}
    values: dict[str, Any] = {}
    for field in attrs.fields(type(scene.robot)):
        present = getattr(scene.robot, field.name)
        if field.name in pose and isinstance(present, Tensor):
            value = getattr(scene.reference, field.name).clone()
            values[field.name] = torch.zeros_like(value) if field.name.endswith("_vel") else value
        elif isinstance(present, Tensor):
            values[field.name] = torch.full_like(present, torch.nan)
    robot = attrs.evolve(scene.robot, cache={}, **values)
    action = torch.full_like(scene.action, torch.nan)
    return attrs.evolve(scene, cache={}, robot=robot, contacts=_standing(scene), action=action)


def _standing(scene: Scene) -> Contacts:
    """Return contacts in which those feet touch that stand in the present reference."""
    touching = torch.zeros_like(scene.contacts.in_contact)
    for foot, name in enumerate(scene.model.sets.get("feet", ())):
        for column, sensor in enumerate(scene.contacts.names):
            if sensor.partition(":")[0] == name:
                touching[:, column] = scene.reference.contact[:, foot] > 0.5
    return attrs.evolve(scene.contacts, cache={}, in_contact=touching)


def _taken(scorer: Scorer, rollouts: int, clips: int) -> Rollouts:
    """Return what a scorer has, of the first `clips` clips, on the CPU."""

    def table(values: Tensor) -> Tensor:
        return values.view(*values.shape[:-1], -1, rollouts)[..., :clips, :].cpu()

    return Rollouts(
        values={slot: table(metric.value()).double() for slot, metric in scorer.metrics.items()},
        failed=table(scorer.failed),
        frames=table(scorer.frames),
        curves={slot: table(torch.stack(values)) for slot, values in scorer.curves.items()},
        poses=table(scorer.snapshots.poses) if scorer.snapshots else None,
    )


def _joined(parts: list[Rollouts]) -> Rollouts:
    """Return the rollouts of several turns as one."""
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
        poses=torch.cat(poses, dim=-2) if poses else None,
    )
