"""Opens a run to play it: one environment for each actor, with what is sampled and what is nominal."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path

import attrs

from mtrack import MtrackError, Recipe
from mtrack.registry.registry import Registry
from mtrack_eval.evaluated_run import EvalOptions, EvaluatedRun, open_run, with_options
from mtrack_eval.motions import motions_at
from mtrack_play.world import World

BOTH = ("teacher", "student")
"""The actors that `--actor both` plays."""
DELAY, NOISE = "action delay", "observation and start noise"
"""Names of what can be sampled besides the randomizations of the recipe."""


@attrs.frozen
class PlayOptions:
    """What to play."""

    actor: str = ""
    """Empty: the actor of the checkpoint's phase; `both`: teacher and student."""
    motions: Path | None = None
    """Motion files to use instead of the recipe's motions."""
    overrides: tuple[str, ...] = ()
    """Changes of the recipe, `key=value`."""
    plugins: tuple[str, ...] = ()
    """Local files of components, `-p FILE.py`."""
    allow_change: bool = False


@attrs.define
class Sampling:
    """What is drawn at random as in training, and what is nominal."""

    all_on: bool = False
    """Whether everything is sampled at first, except what acts within an episode."""
    is_sampled: dict[str, bool] = attrs.field(factory=dict)
    """By randomization slot, `DELAY` and `NOISE`."""
    draw: int = 0
    """Number of times that other draws were requested; it is added to the seed."""


@attrs.define(eq=False)
class Opener:
    """Opens the environments of a run, again whenever what is sampled changes."""

    run: Path
    options: PlayOptions
    sampling: Sampling
    registry: Registry = attrs.field(init=False)
    folder: Path = attrs.field(factory=lambda: Path(tempfile.mkdtemp()), init=False)
    """Where motions of other formats are imported to."""
    close: weakref.finalize[..., Opener] = attrs.field(init=False)
    """Deletes this folder; otherwise it is deleted with the opener."""

    def __attrs_post_init__(self) -> None:
        self.close = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self.registry = Registry.scan(files=self.options.plugins)

    def worlds(self) -> list[World]:
        """Return one environment per actor, with equal random draws; fill in what can be sampled.

        Raises CheckpointError, MtrackError, RecipeError, MotionError.
        """
        registry, options = self.registry, self.options
        run = open_run(self.run, EvalOptions(files=options.plugins, allow_change=options.allow_change), registry)
        if not run.by_clips:
            raise MtrackError(f"{self.run} cannot be played: its command '{run.recipe.command.use}' plays no clips")
        actors = BOTH if options.actor == "both" else (options.actor,)
        return [World.open(changed) for changed in (self._changed(run, actor) for actor in actors)]

    def _changed(self, run: EvaluatedRun, actor: str) -> EvaluatedRun:
        """Return a run as it is played by an actor."""
        options, sampling = self.options, self.sampling
        before = run.trained_with.for_phase(run.checkpoint.phase)
        for name in _choices(before):
            sampling.is_sampled.setdefault(name, sampling.all_on and name in run.recipe.randomizations)
        motions = options.motions
        if motions is not None:
            motions = motions_at(motions, self.registry, before.robot.use, self.folder)
        changes = attrs.evolve(
            run.options,
            actor=actor,
            motions=motions,
            seed=before.seed + sampling.draw,
            noise=sampling.is_sampled[NOISE],
            overrides=(*_overrides(before, sampling), *options.overrides),
        )
        return with_options(self.run, run.checkpoint, run.problems, run.trained_with, changes)


def _choices(recipe: Recipe) -> Iterator[str]:
    """Yield what can be sampled or nominal."""
    yield from recipe.randomizations
    if recipe.action.params.get("max_delay"):
        yield DELAY
    yield NOISE


def _overrides(recipe: Recipe, sampling: Sampling) -> Iterator[str]:
    """Yield the changes of the recipe: randomizations on or off, the delay, and the forces of the window."""
    for name in recipe.randomizations:
        yield f"randomizations.{name}.enabled={'true' if sampling.is_sampled[name] else 'false'}"
    if DELAY in sampling.is_sampled and not sampling.is_sampled[DELAY]:
        yield "action.max_delay=0"
    yield 'randomizations.viewer_forces.use="mtrack:viewer_forces"'
