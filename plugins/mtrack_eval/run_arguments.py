"""The runs that a command line names: runs, folders of runs, and a second group after `--against`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer
from typer.core import TyperCommand

from mtrack import MtrackError
from mtrack.run.run_directory import is_of_seeds
from mtrack.run.seeds import runs_of_seeds

_AGAINST = "--against"

AgainstRuns: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option(_AGAINST, metavar="RUN...", help="Compare with these runs: all that follow, up to the next option."),
]


class RunGroupsCommand(TyperCommand):
    """A command whose option `--against` takes all values up to the next option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse `--against D E` as `--against D --against E`. Raises MtrackError if no run follows."""
        spread: list[str] = []
        is_against = False
        for argument, following in zip(args, [*args[1:], "-"], strict=True):
            is_option = argument.startswith("-")
            if is_option:
                is_against = argument.partition("=")[0] == _AGAINST
            if argument == _AGAINST and following.startswith("-"):
                raise MtrackError("--against compares with other runs: give at least one after it")
            if argument != _AGAINST:  # each of its values gets an own one
                spread += [_AGAINST, argument] if is_against and not is_option else [argument]
        return super().parse_args(ctx, spread)


def run_groups(runs: Sequence[Path], against: Sequence[Path]) -> dict[str, dict[str, Path]]:
    """Return the directories of runs by name of their group and of the run; a folder of runs counts as its runs.

    Without `against` there is one group. A group is named after its only argument; otherwise the first is A, the second
    B. Raises MtrackError if a run is given twice.
    """
    given = [list(group) for group in (runs, against) if group]
    found = [[run for place in group for run in runs_in(place)] for group in given]
    _require_different([run for group in found for run in group])
    labels = _labels([run for group in found for run in group])
    names = [_name(group[0]) if len(group) == 1 else "" for group in given]
    if len(names) == 1:
        names = names if names[0] and len(found[0]) > 1 else ["runs"]
    elif not all(names) or names[0] == names[1]:
        names = ["A", "B"]
    return {name: {labels[run]: run for run in group} for name, group in zip(names, found, strict=True)}


def runs_in(place: Path) -> list[Path]:
    """Return the runs of a folder of runs, in the order of their numbers; else the place itself.

    Of `mtrack run --seeds` these are the runs that have a checkpoint. Raises MtrackError if it has none.
    """
    if is_of_seeds(place):
        return runs_of_seeds(place)
    if (place / "recipe.toml").is_file() or (place / "manifest.json").is_file() or not place.is_dir():
        return [place]
    found = [file.parent for file in place.glob("[!.]*/manifest.json")]
    return sorted(found, key=_natural) or [place]


def _natural(run: Path) -> list[tuple[int, str]]:
    """Return a key that sorts seed_2 before seed_10."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", run.name)]


def _name(place: Path) -> str:
    return place.name or place.resolve().name


def _labels(runs: Sequence[Path]) -> Mapping[Path, str]:
    """Return a name for each run: its directory, with the folder above or the whole path if others have the same."""
    names = [_name(run) for run in runs]
    longer = [f"{run.resolve().parent.name}/{_name(run)}" for run in runs]
    return {
        run: name if names.count(name) == 1 else more if longer.count(more) == 1 else str(run.resolve())
        for run, name, more in zip(runs, names, longer, strict=True)
    }


def _require_different(runs: Sequence[Path]) -> None:
    """Raise MtrackError if a run is given twice."""
    seen: set[str] = set()
    for run in runs:
        place = os.path.realpath(run)
        if place in seen:
            raise MtrackError(f"{run} is given twice; give each run once")
        seen.add(place)
