"""The tables that `mtrack bench` prints, and the file that it writes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
from rich.table import Table

from mtrack import MtrackError
from mtrack_bench.measure import Measurement

COLUMNS = {
    "num_envs": "envs",
    "threads": "threads",
    "physics_steps_per_s": "physics\nsteps/s",
    "env_steps_per_s": "env\nsteps/s",
    "env_ratio": "env\nratio",
    "train_frames_per_s": "train\nframes/s",
    "train_ratio": "train\nratio",
    "memory_mb": "memory\nMB",
}


@attrs.frozen
class Record:
    """Measurements at several sizes, and the machine, versions and recipe they belong to."""

    machine: dict[str, Any]
    distributions: dict[str, str]
    recipe: dict[str, str]
    """A hash of each value of the recipe by its key; see `mtrack_bench.compare.recipe_keys`."""
    points: list[Measurement]

    def write(self, file: Path) -> None:
        """Write it as JSON. Raises MtrackError if the file cannot be written."""
        try:
            file.write_text(json.dumps(attrs.asdict(self), indent=1) + "\n", "utf-8")
        except OSError as error:
            raise MtrackError(f"cannot write {file}: {error.strerror}; give another file with -o") from error


def read(file: Path) -> Record:
    """Read a record that `write` has written. Raises MtrackError if the file is not one."""
    try:
        found = json.loads(file.read_text("utf-8"))
        points = [Measurement(**point) for point in found["points"]]
        record = Record(found["machine"], found["distributions"], found["recipe"], points)
        _check(record)
        return record
    except OSError as error:
        raise MtrackError(f"cannot read {file}: {error.strerror}; give a file written by `mtrack bench -o`") from error
    except (ValueError, TypeError, KeyError) as error:
        raise MtrackError(
            f"{file} is not a record of this version of `mtrack bench`: {error}; measure again with -o"
        ) from error


def _check(record: Record) -> None:
    """Raise ValueError if there are no points, or a rate is neither None nor greater than 0."""
    if not record.points:
        raise ValueError("it has no points")
    for point in record.points:
        for name in (name for name in COLUMNS if name.endswith("_per_s")):
            value: object = getattr(point, name)
            if value is not None and not (isinstance(value, int | float) and value > 0.0):
                raise ValueError(f"{name} is {value}")


def overview(points: Sequence[Measurement]) -> Table:
    """Return a table with a row for each size."""
    table = Table(title=points[0].recipe, title_justify="left", title_style="bold")
    for title in COLUMNS.values():
        table.add_column(title, justify="right")
    for point in points:
        table.add_row(*(_shown(getattr(point, name)) for name in COLUMNS))
    return table


def breakdown(points: Sequence[Measurement]) -> Table:
    """Return a table of the milliseconds of each part of a step and of an update, one column per size."""
    table = Table(title="milliseconds per part of a step and of an update", title_justify="left", title_style="bold")
    table.add_column("part")
    for point in points:
        table.add_column(f"{point.num_envs} envs\n{point.threads} threads", justify="right")
    parts = dict.fromkeys(part for point in points for part in point.breakdown_ms)
    for total in dict.fromkeys(part.partition("/")[0] for part in parts):
        own = [part for part in parts if part.startswith(f"{total}/")]
        for part in own:
            table.add_row(part, *(_shown(point.breakdown_ms.get(part)) for point in points))
        sums = [sum(point.breakdown_ms.get(part, 0.0) for part in own) for point in points]
        table.add_row(f"[bold]{total}", *(f"[bold]{_shown(value)}" for value in sums), end_section=True)
    return table


def _shown(value: float | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
