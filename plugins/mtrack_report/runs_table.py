"""The command `mtrack runs`: a table of the runs in a folder, or of several seeds."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator
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
_NEVER = datetime.min.replace(tzinfo=UTC)
_STYLES = {"running": "green", "failed": "bold red", "killed": "bold red", "stopped": "yellow"}


def runs(
    directory: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="Folder of runs, the directory of several seeds, or one run.")
    ] = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the runs as JSON.")] = False,
) -> None:
    """List runs, newest first: recipe, phase, progress, frames/s, best metric, status and age."""
    from rich.console import Console  # noqa: PLC0415

    from mtrack.run.run_directory import is_of_seeds  # noqa: PLC0415

    logging.basicConfig(format="%(message)s", level=logging.INFO)
    found, skipped = find_runs(directory)
    if skipped:
        more = f" and {len(skipped) - _MOST_NAMED} more" if len(skipped) > _MOST_NAMED else ""
        names = ", ".join(skipped[:_MOST_NAMED]) + more
        typer.echo(f"skipped in {directory}, not run directories: {names}", err=True)
    if as_json:
        typer.echo(json.dumps([_facts(run, directory) for run in found], indent=1))
        return
    for note in _not_started(directory):
        typer.echo(note, err=True)
    if not found:
        typer.echo(f"no runs in {directory}; {_START}", err=True)
        return
    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, _PLAIN_WIDTH)
    console.print(_table(found, directory, console.width, of_seeds=is_of_seeds(directory)))
    for run in found:
        for phase, best in run.best_checkpoints.items():
            typer.echo(f"{_name(run, directory)}: best checkpoint of phase {phase}: {best}")
        if run.problem:
            typer.echo(f"{run.directory}: {run.problem}", err=True)


def find_runs(directory: Path) -> tuple[list[RunOverview], list[str]]:
    """Return the runs in a folder, or the one run that it is, newest first; and the names of other folders in it.

    The runs of several seeds follow each other in the order of their seeds. Raises MtrackError if there is no such
    folder.
    """
    from mtrack.run.run_directory import is_of_seeds  # noqa: PLC0415
    from mtrack_dev.run_state import is_run  # noqa: PLC0415
    from mtrack_report.runs_overview import overview  # noqa: PLC0415

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
    listed = [directory] if is_of_seeds(directory) else folders
    groups = [_seed_runs(folder) if is_of_seeds(folder) else [folder] for folder in listed]
    found = [[overview(run) for run in group if is_run(run)] for group in groups]
    found.sort(key=lambda group: max((run.started for run in group), default=_NEVER), reverse=True)
    skipped = [folder.name for folder in folders if not is_run(folder) and not is_of_seeds(folder)]
    return [run for group in found for run in group], skipped


def _seed_runs(directory: Path) -> list[Path]:
    """Return the run directories in the directory of several seeds, `seed_2` before `seed_10`."""
    return sorted(directory.glob("seed_*/"), key=lambda run: (len(run.name), run.name))


def _not_started(directory: Path) -> Iterator[str]:
    """Yield a line for each directory of several seeds in which runs have not started."""
    from mtrack.run.run_directory import is_locked, is_of_seeds  # noqa: PLC0415
    from mtrack.run.seeds import name_seeds, read_plan  # noqa: PLC0415

    for folder in filter(is_of_seeds, (directory, *sorted(directory.glob("*/")))):
        try:
            plan = read_plan(folder)
        except MtrackError as error:
            yield str(error)
            continue
        waiting = [seed for seed in plan.seeds if not plan.run(seed).exists()]
        if waiting:
            remedy = "" if is_locked(folder) else f"; start with: mtrack run --resume {folder}"
            yield f"{folder}: {name_seeds(waiting)} not started{remedy}"


def _table(found: list[RunOverview], directory: Path, width: int, *, of_seeds: bool) -> Table:
    """Return a table for a terminal of `width` characters; a narrow one has no recipes, which are in most names.

    Runs of several seeds have the same recipe; their frames and returns are shown instead.
    """
    from rich.box import SIMPLE  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("run", overflow="fold")
    if width >= _WIDE and of_seeds:
        table.add_column("frames", justify="right", no_wrap=True)
        table.add_column("return", justify="right", no_wrap=True)
    elif width >= _WIDE:
        table.add_column("recipe", overflow="fold")
    table.add_column("phase", no_wrap=True)
    table.add_column("progress", justify="right", no_wrap=True)
    table.add_column("frames/s", justify="right", no_wrap=True)
    table.add_column("best metric")
    table.add_column("status", no_wrap=True)
    table.add_column("age", justify="right", no_wrap=True)
    for run in found:
        wide = (_counts(run) if of_seeds else (run.recipe or "-",)) if width >= _WIDE else ()
        table.add_row(*_escaped(_name(run, directory), *wide, *_cells(run)), _status(run), _age(run.started))
    return table


def _counts(run: RunOverview) -> tuple[str, str]:
    from mtrack_log.text import count, number  # noqa: PLC0415

    frames = "-" if run.frames is None else count(run.frames)
    return frames, "-" if run.mean_return is None else number(run.mean_return)


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


def _name(run: RunOverview, directory: Path) -> str:
    """Return the path of a run within the folder that is listed: `NAME`, or `NAME/seed_0`."""
    within = run.directory.relative_to(directory)
    return str(within) if within.name else run.directory.resolve().name


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


def _facts(run: RunOverview, directory: Path) -> dict[str, Any]:
    """Return a run as JSON has it."""
    import attrs  # noqa: PLC0415

    facts = attrs.asdict(run)
    times = {name: facts[name].isoformat(timespec="seconds") for name in ("started", "updated")}
    return {"name": _name(run, directory), **facts, "directory": str(run.directory), **times}
