"""Opens a run to play it: one environment for each actor, with what is sampled and what is nominal."""

from __future__ import annotations

import logging
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path

import attrs

from mtrack import MtrackError, Recipe
from mtrack.api.abilities import PlaysClips
from mtrack.registry.registry import Registry
from mtrack.run.run_directory import run_of
from mtrack_eval.evaluated_run import EvalOptions, acts_later, open_recorded, with_options
from mtrack_eval.motions import motions_at
from mtrack_play.world import ActorWorld

BOTH = ("teacher", "student")
"""The actors that `--actor both` plays."""
DELAY, NOISE = "action delay", "observation and start noise"
"""Names of what can be sampled besides the randomizations of the recipe."""
_log = logging.getLogger("mtrack")


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

    def worlds(self) -> list[ActorWorld]:
        """Return one environment per actor, with equal random draws; fill in what can be sampled.

        Raises CheckpointError, MtrackError, RecipeError, MotionError.
        """
        options, sampling = self.options, self.sampling
        plain = EvalOptions(files=options.plugins, allow_change=options.allow_change)
        checkpoint, problems, trained = open_recorded(self.run, plain, self.registry)
        for problem in problems:
            _log.warning("%s", problem)
        recipe = trained.for_phase(checkpoint.phase)
        if not issubclass(recipe.command.cls, PlaysClips):
            raise MtrackError(f"{self.run} cannot be played: its command '{recipe.command.use}' plays no clips")
        for name in _choices(recipe):
            slot = recipe.randomizations.get(name)
            sampling.is_sampled.setdefault(name, sampling.all_on and slot is not None and not acts_later(slot))
        motions = options.motions
        if motions is not None:
            motions = motions_at(motions, self.registry, recipe.robot.use, self.folder)
        run = run_of(self.run)
        changes = attrs.evolve(
            plain,
            motions=motions,
            seed=recipe.seed + sampling.draw,
            noise=sampling.is_sampled[NOISE],
            overrides=(*_overrides(recipe, sampling), *options.overrides),
        )
        return [
            ActorWorld.open(with_options(run, checkpoint, problems, trained, attrs.evolve(changes, actor=actor)))
            for actor in (BOTH if options.actor == "both" else (options.actor,))
        ]


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
