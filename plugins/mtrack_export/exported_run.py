"""The run whose policy is exported: its newest checkpoint, the actor, and what makes a policy impossible on a robot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import attrs

from mtrack import Agent, MtrackError, Recipe, RecipeError
from mtrack.api.abilities import PlaysClips, RunsOnRobot
from mtrack.api.deployment import AppliedOnRobot, ComputedOnRobot, GivesReference
from mtrack.errors import Problem
from mtrack.loop.assemble import Assembly
from mtrack.recipe.slots import Slot
from mtrack.registry.registry import Registry
from mtrack.run.checkpoint import Checkpoint
from mtrack.trial.sensors import without_sensor
from mtrack_eval.evaluated_run import EvalOptions, EvaluatedRun, open_run


@attrs.frozen(eq=False)
class ExportedRun:
    """A run whose policy a robot can run."""

    trained: Recipe
    """The recipe of the checkpoint's phase, as recorded."""
    checkpoint: Checkpoint
    actor: str
    group: str
    """The observation group that the actor reads."""
    assembly: Assembly
    """One environment, assembled as for an evaluation."""
    agent: Agent
    opened: EvaluatedRun

    @property
    def command(self) -> GivesReference:
        """The command, which gives a reference."""
        return cast(GivesReference, self.assembly.env.command)

    def clip_frames(self) -> Sequence[tuple[str, int]]:
        """Return name and number of frames of each clip."""
        return cast(PlaysClips, self.assembly.env.command).clip_frames()

    @staticmethod
    def open(run: Path, options: EvalOptions) -> ExportedRun:
        """Open the newest checkpoint of a run. Raises CheckpointError, MtrackError; RecipeError with all obstacles."""
        opened = open_run(run, options, Registry.scan(files=options.files))
        trained = opened.trained_with.for_phase(opened.checkpoint.phase)
        assembly, agent = opened.assemble(1)
        group = _robot_group(agent, trained)
        problems = [*without_sensor(trained, assembly, agent), *_undescribed(trained, assembly, group)]
        if problems:
            raise RecipeError(f"{run}: its policy cannot run on a robot", problems)
        return ExportedRun(trained, opened.checkpoint, opened.actor, group, assembly, agent, opened)


def _robot_group(agent: Agent, recipe: Recipe) -> str:
    """Return the one group that the robot's actor reads. Raises MtrackError."""
    groups = agent.robot_groups() if isinstance(agent, RunsOnRobot) else ()
    if len(groups) != 1:
        raise MtrackError(
            f"{recipe.agent} does not name one observation group that a robot's policy reads (robot_groups: "
            f"{', '.join(groups) or 'none'}); see 'mtrack describe agent'"
        )
    return groups[0]


def _undescribed(recipe: Recipe, assembly: Assembly, group: str) -> list[Problem]:
    """Return a problem for each component that does not say how a robot computes the same."""
    wanted: list[tuple[Slot, type, str]] = [
        (recipe.action, AppliedOnRobot, "robot_action()"),
        (recipe.command, GivesReference, "future_frames and reference_clip()"),
    ]
    wanted += [(slot, ComputedOnRobot, "robot_term()") for slot in recipe.observations[group].values()]
    problems = []
    for slot, ability, method in wanted:
        if not isinstance(assembly.components[slot.path], ability):
            message = f"{slot} does not say how a robot computes it: it has no {method}"
            hint = "add it (see 'mtrack describe observation'), or use another component"
            problems.append(Problem(slot.path, message, hint, *recipe.source.origin(slot.path)))
    return problems


def without_randomizations(recipe: Recipe) -> list[str]:
    """Return the changes of a recipe, `key=value`, that disable all randomizations."""
    return [f"randomizations.{name}.enabled=false" for name in recipe.randomizations]
