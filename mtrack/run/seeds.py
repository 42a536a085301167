"""The directory of `mtrack run --seeds`: one run per seed, and a plan that is written before the first one starts."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs

from mtrack.errors import CheckpointError, MtrackError
from mtrack.recipe.load import override
from mtrack.recipe.source import Layer, RecipeSource
from mtrack.run.checkpoint_facts import checkpoint_facts, has_any, read_json_object
from mtrack.run.run_directory import LOCK_NOTE, SEEDS, short, write_atomically

_log = logging.getLogger("mtrack")


@attrs.frozen(eq=False)
class SeedPlan:
    """What `mtrack run --seeds` trains; a copy of the recipe, so that editing its file later changes no run."""

    directory: Path
    """Absolute. Its folders `seed_N` are runs like any other."""
    seeds: tuple[int, ...]
    source: RecipeSource
    """The recipe, before its seed is set."""
    manifest: Mapping[str, Any]
    """Of the run of the first seed: recipe, versions and code that all runs are made with."""
    init_from: Path | None = None
    """Checkpoint whose agent every run starts with (`--from`), absolute."""

    def run(self, seed: int) -> Path:
        """Return the run directory of a seed."""
        return self.directory / f"seed_{seed}"

    def recipe(self, seed: int) -> RecipeSource:
        """Return the recipe of a seed, as `mtrack run RECIPE --seed N` reads it."""
        return self.source.with_layers([override(f"seed={seed}")])

    def has_started(self) -> bool:
        """Return whether any run has a directory."""
        return any(self.run(seed).exists() for seed in self.seeds)

    def unfinished(self) -> list[int]:
        """Return the seeds that do not have all their frames yet."""
        return [seed for seed in self.seeds if not is_finished(self.run(seed))]

    def make_directory(self) -> None:
        """Make the directory. Raises MtrackError if it cannot be written, or has a run with a checkpoint."""
        place = short(self.directory)
        if any(map(has_any, (self.directory, *self.directory.glob("seed_*/")))):
            raise MtrackError(f"{place} already holds runs: resume them (--resume {place}), or give another --run-dir")
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            (self.directory / LOCK_NOTE).touch()
        except OSError as error:
            raise MtrackError(f"cannot write to {place}: {error.strerror}; give another --run-dir") from error

    def write(self) -> None:
        """Write the plan. Raises MtrackError if that is not possible, for example because the disk is full."""
        content = attrs.asdict(self, value_serializer=_plain)
        try:
            write_atomically(self.directory / SEEDS, json.dumps(content, indent=1))
        except OSError as error:
            raise MtrackError(f"cannot write to {short(self.directory)}: {error.strerror}") from error

    def discard(self) -> None:
        """Delete the plan if no run has started, so that a recipe that cannot start leaves nothing behind."""
        if self.has_started():
            return
        for name in (SEEDS, ".lock", LOCK_NOTE):
            (self.directory / name).unlink(missing_ok=True)
        with suppress(OSError):  # it has other files
            self.directory.rmdir()


def _plain(_: object, __: object, value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def read_plan(directory: Path) -> SeedPlan:
    """Return the plan in a directory of seeds. Raises CheckpointError if it is damaged."""
    file = directory / SEEDS
    facts = read_json_object(file)
    try:
        source = facts["source"]
        layers = [
            Layer(**layer | {"directory": Path(layer["directory"]), "file": layer["file"] and Path(layer["file"])})
            for layer in source["layers"]
        ]
        return SeedPlan(
            directory.absolute(),
            tuple(map(int, facts["seeds"])),
            RecipeSource(source["name"], Path(source["directory"]), tuple(layers)),
            dict(facts["manifest"]),
            Path(facts["init_from"]) if facts["init_from"] else None,
        )
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        remedy = f"resume its runs one by one (--resume {directory}/seed_N)"
        raise CheckpointError(f"{file} is damaged ({type(error).__name__}: {error}); {remedy}") from error


def name_seeds(seeds: Sequence[int]) -> str:
    """Return seeds for a message: `seed 1`, or `seeds 1, 2`."""
    return f"seed{'' if len(seeds) == 1 else 's'} {', '.join(map(str, seeds))}"


def is_finished(run: Path) -> bool:
    """Return whether the newest checkpoint of a run is the end of its last phase."""
    try:
        newest = checkpoint_facts(run)[-1]
        phases = [name for name, phase in newest["values"]["phases"].items() if phase.get("enabled", True)]
        return newest["ended"] is True and newest["phase"] == phases[-1]
    except (AttributeError, LookupError, TypeError):  # no checkpoint, or a damaged manifest
        return False


def runs_of_seeds(directory: Path) -> list[Path]:
    """Return the runs in a directory of seeds that have a checkpoint, in the order of the plan.

    Raises MtrackError if none has one, or if the plan is damaged.
    """
    seeds = read_plan(directory).seeds
    missing = [seed for seed in seeds if not has_any(directory / f"seed_{seed}")]
    if len(missing) == len(seeds):
        raise MtrackError(f"no run in {short(directory)} has a checkpoint yet: mtrack run --resume {short(directory)}")
    if missing:
        _log.warning("%s: without %s, not trained yet", short(directory), name_seeds(missing))
    return [directory / f"seed_{seed}" for seed in seeds if seed not in missing]
