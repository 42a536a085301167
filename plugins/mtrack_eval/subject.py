"""What is evaluated: the recipe of a run as it was in training, but quiet; its newest checkpoint; the actor to run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import attrs

from mtrack import Agent, CheckpointError, MtrackError, Recipe
from mtrack.api.abilities import PlaysClips
from mtrack.api.lifecycle import AfterSubstep, BeforeStep, BeforeSubstep
from mtrack.errors import did_you_mean
from mtrack.loop.assemble import Assembly, assemble
from mtrack.loop.state import load_component_state
from mtrack.loop.wiring import blame_component
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import Layer, read_recipe
from mtrack.recipe.slots import Slot
from mtrack.registry.registry import OWN, Registry, is_own
from mtrack.run.checkpoint import Checkpoint, newest
from mtrack.run.compatibility import list_versions, require_compatible, require_local_files
from mtrack.run.manifest import manifest
from mtrack.run.transfer import Contract
from mtrack_eval.conditions import conditions

_DEFAULTS = "base/g1_tracking"  # its metrics are those of recipes that name none


@attrs.frozen(kw_only=True)
class Wishes:
    """How to evaluate."""

    rollouts: int | None = None
    """Of each clip; None: 8."""
    episodes: int | None = None
    """Score by so many episodes, not by clips; None: 100 if the command plays no clips."""
    actor: str = ""
    """Empty: that of the phase the checkpoint is of."""
    motions: Path | None = None
    """Motion files to use instead of the recipe's motions."""
    seed: int | None = None
    """Of the draws; None: the recipe's."""
    noise: bool = False
    """Whether observations and start states are as noisy as in training."""
    overrides: tuple[str, ...] = ()
    """`key=value` over everything."""
    files: tuple[str, ...] = ()
    """Local files of components, `-p FILE.py`."""
    allow_change: bool = False
    """Whether a policy or clips that are not those of the run may be scored all the same."""


@attrs.frozen(eq=False)
class Subject:
    """A run opened for evaluation."""

    run: Path
    recipe: Recipe
    """As in the checkpoint's phase, and as it will be rolled out."""
    checkpoint: Checkpoint
    trained_with: Recipe
    """As recorded, with nothing changed for the evaluation."""
    actor: str
    by_clips: bool
    """Whether it is scored clip by clip; else by episodes."""
    complaints: tuple[str, ...]
    """What is wrong with newer checkpoints, if anything."""
    wishes: Wishes

    @property
    def checkpoint_name(self) -> str:
        """Path of the checkpoint from the run's own folder on: evaluations are shared, folders of a machine are not."""
        run, path = self.run.resolve(), self.checkpoint.path.resolve()
        return str(Path(run.name, path.relative_to(run))) if path.is_relative_to(run) else path.name

    def assemble(self, num_envs: int) -> tuple[Assembly, Agent]:
        """Return environments with their metrics, and the agent of the checkpoint. Raises CheckpointError."""
        recipe = self.recipe
        assembly = assemble(recipe, self.checkpoint.phase, device=recipe.place, num_envs=num_envs, metrics=True)
        self.require_fit(assembly)
        with blame_component(recipe.agent):
            agent: Agent = recipe.agent.build()
            agent.build(assembly.layout)
        load_component_state(agent, self.checkpoint.part("agent"), "agent")
        return assembly, agent

    def require_fit(self, assembly: Assembly) -> None:
        """Stop if what was assembled is not what the checkpoint was trained with. Raises CheckpointError.

        Clips that were chosen for this evaluation need not be those of the run.
        """
        contract = attrs.asdict(Contract.of(self.recipe, assembly))
        chosen = self.wishes.motions or any(change.startswith("motions.") for change in self.wishes.overrides)
        require_compatible(
            self.checkpoint.path,
            self.checkpoint.manifest,
            {**manifest(self.trained_with), "contract": contract},
            "evaluate",
            allow_change=self.wishes.allow_change,
            ignore=("data",) if chosen else (),
        )

    def conditions(self) -> dict[str, Any]:
        """Return what is switched on in the rollouts, JSON-able."""
        return conditions(self.recipe, self.trained_with.for_phase(self.checkpoint.phase), self.by_clips)


def open_run(run: Path, wishes: Wishes, registry: Registry) -> Subject:
    """Return a run as it will be evaluated. Raises CheckpointError, MtrackError, RecipeError."""
    file = run / "recipe.toml"
    if not file.is_file():
        raise CheckpointError(f"{run} is no run directory: it has no recipe.toml; 'mtrack run' makes one in runs/")
    checkpoint, complaints = newest(run)
    # before the recipe is read, which a plugin of another version may not understand
    require_local_files(run, checkpoint.manifest, registry, wishes.allow_change)
    list_versions(checkpoint.path, checkpoint.manifest, registry)
    source = read_recipe(file)
    whole = check_recipe(source, registry)
    if checkpoint.phase not in whole.phases:
        raise CheckpointError(f"{checkpoint.path} is of a phase '{checkpoint.phase}', which {file} does not have")
    recipe = whole.for_phase(checkpoint.phase)
    by_clips = _is_scored_by_clips(recipe.command, wishes)
    told = read_recipe(file, wishes.overrides).layers[len(source.layers) :]
    quiet = Layer("mtrack eval", _changes(recipe, wishes), Path(os.getcwd()), owner=OWN)  # noqa: PTH109  as recipes do
    quieted = check_recipe(recipe.source.with_layers([quiet, *told]), registry)
    actor = _actor(whole, checkpoint, wishes.actor, registry)
    return Subject(run, quieted, checkpoint, whole, actor, by_clips, tuple(complaints), wishes)


def _is_scored_by_clips(command: Slot, wishes: Wishes) -> bool:
    """Return whether to score clip by clip. Raises MtrackError for wishes that the command cannot fulfil."""
    if wishes.rollouts is not None and wishes.episodes is not None:
        raise MtrackError("--rollouts counts those of each clip, --episodes scores without regard to clips: give one")
    if not issubclass(command.cls, PlaysClips):
        for option, value in (("--rollouts", wishes.rollouts), ("--motions", wishes.motions)):
            if value is not None:
                raise MtrackError(f"{option}: {command} plays no clips; it is scored by episodes, --episodes N of them")
        return False
    return wishes.episodes is None


def _changes(recipe: Recipe, wishes: Wishes) -> dict[str, Any]:
    """Return what an evaluation changes in a recipe, as a table."""
    late = [name for name, slot in recipe.randomizations.items() if _acts_later(slot)]
    changes: dict[str, Any] = {"randomizations": {name: {"enabled": False} for name in late}}
    if not wishes.noise:
        changes["observations"] = {
            group: {name: {"noise": 0.0} for name in terms} for group, terms in recipe.observations.items()
        }
        if "start_noise" in recipe.command.params:
            changes["command"] = {"start_noise": 0.0}
    if wishes.seed is not None:
        changes["seed"] = wishes.seed
    if wishes.motions:
        others = {name: {"enabled": False} for name in recipe.motions}
        changes["motions"] = others | {"given": {"use": "motion_files", "path": str(wishes.motions.absolute())}}
    if not recipe.metrics and issubclass(recipe.command.cls, PlaysClips):
        changes["metrics"] = read_recipe(_DEFAULTS).data["metrics"]
    return changes


def _acts_later(slot: Slot) -> bool:
    """Return whether a randomization acts within an episode, such as a push, not only before it."""
    return issubclass(slot.cls, BeforeStep | BeforeSubstep | AfterSubstep)


def _actor(recipe: Recipe, checkpoint: Checkpoint, wanted: str, registry: Registry) -> str:
    """Return the actor to run. Raises MtrackError where the run has not trained the one that is wanted."""
    latest = str(recipe.phases[checkpoint.phase].build().actor)
    if not wanted:
        return latest
    earlier = [registry.load(registry.find("phase", name, is_own)) for name in checkpoint.phase_history[:-1]]
    trained = [*(str(phase.actor) for phase in earlier), latest]
    if wanted not in trained:
        known = sorted(set(trained))
        remedy = did_you_mean(wanted, known) or f"trained so far: {', '.join(known)}"
        raise MtrackError(f"actor '{wanted}' has not been trained in {checkpoint.path}; {remedy}")
    return wanted
