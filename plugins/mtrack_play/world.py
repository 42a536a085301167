"""One environment that an actor drives: reset to any frame of a clip, stepped, saved and restored."""

from __future__ import annotations

import copy
from typing import Any, cast

import attrs
import torch

from mtrack import Agent, Env, MtrackError, Schedule
from mtrack.api.abilities import PlaysClips
from mtrack.loop.assemble import Assembly
from mtrack.loop.env import RewardTerm
from mtrack.loop.learner import rollout_mode
from mtrack.loop.outputs import blaming_outputs
from mtrack.loop.snapshot import env_state, load_env_state
from mtrack.loop.statistics import EpisodeStatistics
from mtrack.recipe.checked import Recipe
from mtrack.run.checkpoint import Checkpoint
from mtrack.run.policy import load_agent
from mtrack.run.reproduction import Reproduction
from mtrack_eval.evaluated_run import EvaluatedRun
from mtrack_eval.frame_mean import FrameMean
from mtrack_eval.rollouts import AT_THE_END
from mtrack_play.forces import ViewerForces
from mtrack_play.moment import Array, Moment, Probe
from mtrack_view.posed_robot import PosedRobot

_NEVER = 2**31


@attrs.define(eq=False)
class ActorWorld:
    """One environment, whose episodes end only where their clip ends."""

    actor: str
    recipe: Recipe
    """As it is in the phase of the checkpoint, changed for playing."""
    checkpoint: Checkpoint
    trained: Assembly
    """The environment with the rewards and terminations of the recipe."""
    assembly: Assembly
    """The same environment, in which `probe` reads rewards and terminations, and episodes end with their clip."""
    agent: Agent
    probe: Probe
    forces: ViewerForces
    units: dict[str, str]
    """Of the tracking errors, by metric slot."""

    @classmethod
    def open(cls, opened: EvaluatedRun) -> ActorWorld:
        """Assemble the environment of a run with the agent of its checkpoint. Raises CheckpointError, MtrackError."""
        assembly, agent = opened.assemble(1)
        recipe, env = opened.recipe, assembly.env
        metrics = {name: assembly.components[slot.path] for name, slot in recipe.metrics.items()}
        errors = {slot: metric for slot, metric in metrics.items() if isinstance(metric, FrameMean)}
        probe = Probe(env.rewards, env.terminations, errors)
        played = attrs.evolve(
            env,
            rewards=[RewardTerm("rewards.play", "play", probe, 0.0)],
            group_scales={"play": Schedule.constant(0.0)},
            terminations=[],
            max_episode_steps=_NEVER,
            statistics=EpisodeStatistics(1, ["play"], ["play"], ["diverged"], recipe.resolved_device),
        )
        forces = next(part for part in assembly.components.values() if isinstance(part, ViewerForces))
        units = {slot: metric.unit for slot, metric in errors.items()}
        watched = attrs.evolve(assembly, env=played)
        return cls(opened.actor, recipe, opened.checkpoint, assembly, watched, agent, probe, forces, units)

    @property
    def env(self) -> Env:
        """The environment."""
        return self.assembly.env

    @property
    def command(self) -> PlaysClips:
        """The command that plays the clips."""
        return cast(PlaysClips, self.env.command)

    def posed_robot(self) -> PosedRobot:
        """Return the robot to draw its poses. Raises MtrackError if it has no description."""
        return PosedRobot(self.recipe.robot.build())

    def load(self, checkpoint: Checkpoint) -> None:
        """Replace the networks by those of another checkpoint of the same phase. Raises CheckpointError."""
        self.agent = load_agent(self.recipe, checkpoint, self.assembly)
        self.checkpoint = checkpoint

    def start(self, clip: int, frame: int) -> None:
        """Draw the startup randomizations, and reset to a frame of a clip. It is called once."""
        with rollout_mode(1):
            self._pin(clip, frame)
            self.env.start(progress=AT_THE_END)
            self._drop_unread_observations()
            self.probe.begin(self.env.scene)

    def restart(self, clip: int, frame: int) -> None:
        """Reset to a frame of a clip; what was drawn at startup stays."""
        with rollout_mode(1):
            self._pin(clip, frame)
            self.forces.clear()
            self.env.restart(torch.zeros(1, dtype=torch.int64, device=self.env.scene.device))
            self.probe.begin(self.env.scene)

    def step(self) -> None:
        """Advance by one control step; at the end of the clip it starts again. Raises ComponentError."""
        with rollout_mode(1), blaming_outputs(self.trained):
            self.env.step(self.agent.policy(self.env.observations, self.actor))

    def moment(self, time: float, frame: int) -> Moment:
        """Return what the newest step showed, or a reset if there has been no step since."""
        probe = self.probe
        return Moment(
            time=time,
            frame=frame,
            robot=probe.pose,
            reference=probe.reference,
            rewards=probe.rewards,
            errors=probe.errors,
            terminations=probe.ended,
            forces=probe.forces,
            applied=self.forces.applied,
            is_diverged=probe.is_diverged,
        )

    def pull(self, body: str, point: Array, target: Array) -> None:
        """Pull a point of a body, [3] m in its frame, to a target, [3] m in world axes."""
        self.forces.pull(body, torch.from_numpy(point), torch.from_numpy(target))

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of everything that changes in the environment."""
        return copy.deepcopy(env_state(self.assembly))

    def restore(self, state: dict[str, Any]) -> None:
        """Put the environment into a state that `snapshot` returned."""
        self.forces.clear()
        load_env_state(self.assembly, copy.deepcopy(state))

    def set_state(self, made: Reproduction) -> None:
        """Put the robot into the state before a recorded step. Raises MtrackError if it is of another model."""
        backend, scene = self.env.backend, self.env.scene
        restore_step = getattr(backend, "restore_step", None)
        if restore_step is None:
            raise MtrackError(f"the backend '{self.recipe.backend.entry.name}' cannot restore a recorded step")
        with rollout_mode(1):
            restore_step(0, made.step)
            env_ids = torch.zeros(1, dtype=torch.int64, device=scene.device)
            self.env.action.reset(env_ids)  # targets and filter start from the restored pose
            backend.forward(env_ids, self.env.action.current_target)
            backend.refresh()
            self.env.tracker.reset(env_ids)
            self.env.observations = self.env.observer.observe(scene, env_ids)
            self.probe.begin(scene)

    def _drop_unread_observations(self) -> None:
        """Observe no group that does not change the action, such as those of the critic: playing is faster."""
        observer, observations = self.env.observer, self.env.observations
        action = self.agent.policy(observations, self.actor)
        unread = set()
        for group in observer.groups:
            unknown = observations.clone()
            unknown[group] = torch.full_like(unknown[group], torch.nan)
            if torch.equal(self.agent.policy(unknown, self.actor), action):
                unread.add(group)
        observer.groups = {group: terms for group, terms in observer.groups.items() if group not in unread}
        self.env.observations = observations.exclude(*unread)

    def _pin(self, clip: int, frame: int) -> None:
        device = self.env.scene.device
        self.command.pin_clips(torch.tensor([clip], device=device), torch.tensor([frame], device=device))
