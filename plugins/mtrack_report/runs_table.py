"""The command `mtrack runs`: a table of the runs in a folder."""

from __future__ import annotations

import json
import logging
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mtrack import MtrackError

if TYPE_CHECKING:
    from rich.table import Table

    from mtrack_report.runs_overview import BestMetric, RunOverview

_PLAIN_WIDTH = 150  # characters of output that is not a terminal
_WIDE = 110  # characters from which a table has all columns
_START = "start one: mtrack run g1_tracking_quick"
_MOST_NAMED = 5
_STYLES = {"running": "green", "failed": "bold red", "killed": "bold red", "stopped": "yellow"}


def runs(
    directory: Annotated[Path, typer.Argument(metavar="[DIR]", help="Folder of runs, or one run.")] = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the runs as JSON.")] = False,
) -> None:
    """List runs, newest first: recipe, phase, progress, frames/s, best metric, status and age."""
    from rich.console import Console  # noqa: PLC0415

    logging.basicConfig(format="%(message)s", level=logging.INFO)
    found, skipped = find_runs(directory)
    if skipped:
        more = f" and {len(skipped) - _MOST_NAMED} more" if len(skipped) > _MOST_NAMED else ""
        names = ", ".join(skipped[:_MOST_NAMED]) + more
        typer.echo(f"skipped in {directory}, not run directories: {names}", err=True)
    if as_json:
        typer.echo(json.dumps([_facts(run) for run in found], indent=1))
        return
    if not found:
        typer.echo(f"no runs in {directory}; {_START}", err=True)
        return
    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, _PLAIN_WIDTH)
    console.print(_table(found, console.width))
    for run in found:
        if run.problem:
            typer.echo(f"{run.directory}: {run.problem}", err=True)


def find_runs(directory: Path) -> tuple[list[RunOverview], list[str]]:
    """Return the runs in a folder, or the one run that it is, newest first; and the names of other folders in it.

    Raises MtrackError if there is no such folder.
    """
    from mtrack_report.runs_overview import is_run, overview  # noqa: PLC0415

    if not directory.exists():
        raise MtrackError(f"{directory}: no such directory; give the folder of your runs, or {_START}")
    if not directory.is_dir():
        raise MtrackError(f"{directory}: not a directory; give the folder of your runs, or one run")
    try:
        folders = [folder for folder in sorted(directory.iterdir()) if folder.is_dir() and folder.name[0] != "."]
    except OSError as error:
        raise MtrackError(f"{directory}: {error.strerror}; give a folder that you can read") from error
    if is_run(directory):
        return [overview(directory)], []
    found = [overview(folder) for folder in folders if is_run(folder)]
    skipped = [folder.name for folder in folders if not is_run(folder)]
    return sorted(found, key=lambda run: run.started, reverse=True), skipped


def _table(found: list[RunOverview], width: int) -> Table:
    """Return a table for a terminal of `width` characters; a narrow one has no recipes, which are in most names."""
    from rich.box import SIMPLE  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("run", overflow="fold")
    if width >= _WIDE:
        table.add_column("recipe", overflow="fold")
    table.add_column("phase", no_wrap=True)
    table.add_column("progress", justify="right", no_wrap=True)
    table.add_column("frames/s", justify="right", no_wrap=True)
    table.add_column("best metric")
    table.add_column("status", no_wrap=True)
    table.add_column("age", justify="right", no_wrap=True)
    for run in found:
        recipe = [run.recipe or "-"] if width >= _WIDE else []
        table.add_row(*_escaped(_name(run), *recipe, *_cells(run)), _status(run), _age(run.started))
    return table


def _cells(run: RunOverview) -> tuple[str, ...]:
    number = run.phases.index(run.phase) + 1 if run.phase in run.phases else 0
    phase = f"{run.phase} {number}/{len(run.phases)}" if number and len(run.phases) > 1 else run.phase
    progress = "-" if run.progress is None else f"{math.floor(100 * run.progress)} %"
    speed = "-" if run.frames_per_s is None else f"{run.frames_per_s:,.0f}"
    return phase or "-", progress, speed, _best(run.best)


def _status(run: RunOverview) -> str:
    style = _STYLES.get(run.status, "default")
    return f"[{style}]damaged" if run.problem else f"[{style}]{run.status}"


def _escaped(*texts: str) -> list[str]:
    """Return texts in which nothing is markup of rich."""
    from rich.markup import escape  # noqa: PLC0415

    return list(map(escape, texts))


def _name(run: RunOverview) -> str:
    return run.directory.name or run.directory.resolve().name


def _best(best: BestMetric | None) -> str:
    """Return e.g. `mpkpe_local 38.1 mm, success 95 % (student)`."""
    if best is None:
        return "-"
    value = f"{best.name} {best.value:.3g} {best.unit}".rstrip()
    if best.success is None:
        return value
    outdated = ", older checkpoint" if best.is_outdated else ""
    return f"{value}, success {math.floor(100 * best.success)} % ({best.actor}{outdated})"


def _age(started: datetime) -> str:
    """Return the time since a run was started, in its largest unit."""
    from mtrack_log.text import duration  # noqa: PLC0415

    return " ".join(duration((datetime.now(UTC) - started).total_seconds()).split()[:2])


def _facts(run: RunOverview) -> dict[str, Any]:
    """Return a run as JSON has it."""
    import attrs  # noqa: PLC0415

    facts = attrs.asdict(run)
    times = {name: facts[name].isoformat(timespec="seconds") for name in ("started", "updated")}
    return {"name": _name(run), **facts, "directory": str(run.directory), **times}
