"""The run that is evaluated: its recipe without training noise, its newest checkpoint, and the actor to roll out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from mtrack import Agent, MtrackError, Recipe
from mtrack.api.abilities import PlaysClips
from mtrack.api.lifecycle import AfterSubstep, BeforeStep, BeforeSubstep
from mtrack.loop.assemble import Assembly, assemble
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.recipe.slots import Slot
from mtrack.recipe.source import Layer
from mtrack.registry.registry import OWN, Registry
from mtrack.run.checkpoint import Checkpoint
from mtrack.run.compatibility import require_compatible
from mtrack.run.manifest import manifest
from mtrack.run.policy import load_agent, open_checkpoint, trained_actor
from mtrack.run.run_directory import run_of
from mtrack.run.transfer import Contract
from mtrack_eval.conditions import conditions, task_facts
from mtrack_eval.pairing import made_from

_ROLLOUTS = 8
_DEFAULTS = "base/g1_tracking"  # a recipe without metrics is scored with the metrics of this one


def _at_least(bound: int) -> Any:
    """Return a validator that accepts None and whole numbers from `bound` on. It raises MtrackError."""

    def validate(_: object, attribute: Any, value: int | None) -> None:
        if value is not None and value < bound:
            raise MtrackError(f"{attribute.name} must be at least {bound}, not {value}")

    return validate


@attrs.frozen(kw_only=True)
class EvalOptions:
    """How to evaluate. Raises MtrackError if a number is out of range."""

    rollouts: int | None = attrs.field(default=None, validator=_at_least(1))
    """Rollouts per clip; None: 8."""
    episodes: int | None = attrs.field(default=None, validator=_at_least(1))
    """Score this many episodes instead of clips; None: 100 if the command plays no clips."""
    actor: str = ""
    """Empty: the actor of the checkpoint's phase."""
    motions: Path | None = None
    """Motion files to use instead of the recipe's motions."""
    seed: int | None = attrs.field(default=None, validator=_at_least(0))
    """Seed of all random draws; None: the recipe's."""
    noise: bool = False
    """Whether observations and start states are as noisy as in training."""
    overrides: tuple[str, ...] = ()
    """Changes of the recipe, `key=value`; they override everything else."""
    files: tuple[str, ...] = ()
    """Local files of components, `-p FILE.py`."""
    allow_change: bool = False
    """Whether to score a policy or clips even if they are not those of the run."""


@attrs.frozen(eq=False)
class EvaluatedRun:
    """A run opened for evaluation."""

    run: Path
    recipe: Recipe
    """The recipe of the checkpoint's phase, changed for the rollouts."""
    checkpoint: Checkpoint
    trained_with: Recipe
    """The recipe as recorded, unchanged."""
    actor: str
    by_clips: bool
    """Whether it is scored clip by clip, not by episodes."""
    problems: tuple[str, ...]
    """What is wrong with newer checkpoints, if anything."""
    options: EvalOptions

    @property
    def checkpoint_name(self) -> str:
        """Path of the checkpoint, relative to the run's parent: a shared report contains no path of the machine."""
        run, path = self.run.resolve(), self.checkpoint.path.resolve()
        return str(Path(run.name, path.relative_to(run))) if path.is_relative_to(run) else path.name

    def assemble(self, num_envs: int) -> tuple[Assembly, Agent]:
        """Return environments with their metrics, and the agent of the checkpoint. Raises CheckpointError."""
        recipe = self.recipe
        assembly = assemble(
            recipe, self.checkpoint.phase, device=recipe.resolved_device, num_envs=num_envs, metrics=True
        )
        self.require_fit(assembly)
        return assembly, load_agent(recipe, self.checkpoint, assembly)

    def changed(self, overrides: Sequence[str]) -> EvaluatedRun:
        """Return this run with more changes of its recipe, `key=value`. Raises RecipeError."""
        options = attrs.evolve(self.options, overrides=(*self.options.overrides, *overrides))
        return with_options(self.run, self.checkpoint, self.problems, self.trained_with, options)

    def require_fit(self, assembly: Assembly) -> None:
        """Raise CheckpointError if the assembled environment differs from what the checkpoint was trained with.

        Clips that were chosen for this evaluation may differ from those of the run.
        """
        contract = attrs.asdict(Contract.of(self.recipe, assembly))
        chosen = self.options.motions or any(change.startswith("motions.") for change in self.options.overrides)
        require_compatible(
            self.checkpoint.path,
            self.checkpoint.manifest,
            {**manifest(self.trained_with), "contract": contract},
            "evaluate",
            allow_change=self.options.allow_change,
            ignore=("data",) if chosen else (),
        )

    @property
    def rollouts(self) -> int:
        """Rollouts per clip."""
        return self.options.rollouts or _ROLLOUTS

    def made_from(self) -> str:
        """Return a hash of everything that an evaluation by clips depends on."""
        return made_from(self.recipe, self.checkpoint, actor=self.actor, rollouts=self.rollouts)

    def task(self) -> dict[str, Any]:
        """Return what comparable evaluations share, JSON-able."""
        return task_facts(self.recipe)

    def conditions(self) -> dict[str, Any]:
        """Return what is switched on in the rollouts, JSON-able."""
        return conditions(self.recipe, self.trained_with.for_phase(self.checkpoint.phase), self.by_clips)


def open_run(run: Path, options: EvalOptions, registry: Registry) -> EvaluatedRun:
    """Return a run or one of its checkpoints, to be evaluated. Raises CheckpointError, MtrackError, RecipeError."""
    return with_options(run_of(run), *open_recorded(run, options, registry), options)


def open_recorded(run: Path, options: EvalOptions, registry: Registry) -> tuple[Checkpoint, list[str], Recipe]:
    """Return what `open_checkpoint` returns for a run or checkpoint. Raises CheckpointError, RecipeError."""
    run_of(run)  # before its checkpoints are read
    return open_checkpoint(run, registry, allow_change=options.allow_change)


def with_options(
    run: Path, checkpoint: Checkpoint, problems: Sequence[str], whole: Recipe, options: EvalOptions
) -> EvaluatedRun:
    """Return an opened run, as `open_recorded` returns it, changed by options. Raises MtrackError, RecipeError."""
    recipe = whole.for_phase(checkpoint.phase)
    by_clips = _is_scored_by_clips(recipe.command, options)
    overrides = read_recipe(run / "recipe.toml", options.overrides).layers[len(whole.source.layers) :]
    changes = Layer("mtrack eval", _changes(recipe, options), Path(os.getcwd()), owner=OWN)  # noqa: PTH109  as recipes do
    changed = check_recipe(recipe.source.with_layers([changes, *overrides]), whole.registry)
    actor = trained_actor(whole, checkpoint, options.actor)
    return EvaluatedRun(run, changed, checkpoint, whole, actor, by_clips, tuple(problems), options)


def _is_scored_by_clips(command: Slot, options: EvalOptions) -> bool:
    """Return whether to score clip by clip. Raises MtrackError if the options do not suit the command."""
    if options.rollouts is not None and options.episodes is not None:
        raise MtrackError("--rollouts (per clip) and --episodes exclude each other: give one")
    if not issubclass(command.cls, PlaysClips):
        for option, value in (("--rollouts", options.rollouts), ("--motions", options.motions)):
            if value is not None:
                raise MtrackError(f"{option}: {command} plays no clips; it is scored by episodes: --episodes N")
        return False
    return options.episodes is None


def _changes(recipe: Recipe, options: EvalOptions) -> dict[str, Any]:
    """Return what an evaluation changes in a recipe, as a table."""
    late = [name for name, slot in recipe.randomizations.items() if acts_later(slot)]
    changes: dict[str, Any] = {"randomizations": {name: {"enabled": False} for name in late}}
    if not options.noise:
        changes["observations"] = {
            group: {name: {"noise": 0.0} for name in terms} for group, terms in recipe.observations.items()
        }
        if "start_noise" in recipe.command.params:
            changes["command"] = {"start_noise": 0.0}
    if options.seed is not None:
        changes["seed"] = options.seed
    if options.motions:
        others = {name: {"enabled": False} for name in recipe.motions}
        changes["motions"] = others | {"given": {"use": "motion_files", "path": str(options.motions.absolute())}}
    if not recipe.metrics and issubclass(recipe.command.cls, PlaysClips):
        changes["metrics"] = read_recipe(_DEFAULTS).data["metrics"]
    return changes


def acts_later(slot: Slot) -> bool:
    """Return whether a randomization acts within an episode, such as a push, not only before it."""
    return issubclass(slot.cls, BeforeStep | BeforeSubstep | AfterSubstep)
