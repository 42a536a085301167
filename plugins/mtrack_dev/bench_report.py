"""What `mtrack bench` prints and keeps: figures of several sizes, beside those of another day or machine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
from rich.table import Table

from mtrack.errors import MtrackError
from mtrack_dev.bench import Figures

_COLUMNS = {
    "num_envs": "envs",
    "threads": "threads",
    "physics_steps_per_s": "physics\nsteps/s",
    "env_steps_per_s": "env\nsteps/s",
    "env_ratio": "env\nratio",
    "train_frames_per_s": "train\nframes/s",
    "train_ratio": "train\nratio",
    "memory_mb": "memory\nMB",
}
_RATES = ("physics_steps_per_s", "env_steps_per_s", "train_frames_per_s", "env_ratio", "train_ratio", "memory_mb")
_SAME = ("num_envs", "threads", "device")  # points that can be compared agree in these


@attrs.frozen
class Record:
    """What is kept of a measurement: the points, and what they were measured on."""

    machine: dict[str, Any]
    distributions: dict[str, str]
    points: list[Figures]

    def write(self, file: Path) -> None:
        """Write it as JSON."""
        file.write_text(json.dumps(attrs.asdict(self), indent=1) + "\n", "utf-8")


def read(file: Path) -> Record:
    """Return a record as `write` left it. Raises MtrackError where the file is none."""
    try:
        found = json.loads(file.read_text("utf-8"))
        return Record(found["machine"], found["distributions"], [Figures(**point) for point in found["points"]])
    except OSError as error:
        raise MtrackError(f"cannot read {file}: {error.strerror}; give a file that `mtrack bench -o` wrote") from error
    except (ValueError, TypeError, KeyError) as error:
        raise MtrackError(f"{file} is not what `mtrack bench -o` of this version writes: {error}") from error


def overview(points: Sequence[Figures]) -> Table:
    """Return a table with a row for each size."""
    table = Table(title=points[0].recipe, title_justify="left", title_style="bold")
    for title in _COLUMNS.values():
        table.add_column(title, justify="right")
    for point in points:
        table.add_row(*(_shown(getattr(point, name)) for name in _COLUMNS))
    return table


def breakdown(points: Sequence[Figures]) -> Table:
    """Return a table of the parts of a control step and of an update: milliseconds, a column for each size."""
    table = Table(title="milliseconds of a step's and an update's parts", title_justify="left", title_style="bold")
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


def comparison(record: Record, before: Record) -> Table:
    """Return a table of each rate over what it was in another record. Raises MtrackError without a common size."""
    table = Table(title="now / before", title_justify="left", title_style="bold")
    for name in (*_SAME, *_RATES):
        table.add_column(_COLUMNS.get(name, name), justify="right")
    for point in record.points:
        for other in before.points:
            if all(getattr(point, name) == getattr(other, name) for name in _SAME):
                known = (str(getattr(point, name)) for name in _SAME)
                table.add_row(*known, *(_over(getattr(point, name), getattr(other, name)) for name in _RATES))
    if not table.row_count:
        sizes = ", ".join(f"{p.num_envs} on {p.threads} threads ({p.device})" for p in before.points)
        raise MtrackError(f"nothing to compare: the other record has {sizes}; choose these with --envs and --threads")
    if record.machine != before.machine or record.distributions != before.distributions:
        table.caption = "machine or versions differ: rates compare these too, ratios within a process hardly"
    return table


def _shown(value: float | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def _over(value: float | None, other: float | None) -> str:
    return f"{value / other:.2f}" if value and other else "-"
