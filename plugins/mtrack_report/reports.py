"""From run directories to one report: adds what is missing, and writes the page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mtrack import MtrackError
from mtrack_eval.run_arguments import run_groups
from mtrack_report.comparison import comparison_page
from mtrack_report.page import run_page
from mtrack_report.run_facts import RunFacts, read_run
from mtrack_report.viewer import viewer_of
from mtrack_report.written import write_report

_FILE = "report.html"


def write(
    directories: Sequence[Path],
    against: Sequence[Path],
    output: Path | None,
    evaluate: bool,
    files: Sequence[str],
    allow_change: bool,
) -> Path:
    """Write a report of a run, or of one or two groups of runs, and return its path. Raises MtrackError."""
    groups = run_groups(directories, against)
    places = [run for runs in groups.values() for run in runs.values()]
    is_single = places == list(directories[:1])
    facts = {run: read_run(run) for run in places}  # all must be runs, before minutes are spent on the first one
    if evaluate:
        facts = _evaluated(places, files, allow_change, with_replays=is_single)
    if is_single:
        run = facts[places[0]]
        html = run_page(run, viewer_of(run, tuple(files)))
    else:
        html = comparison_page(
            {group: {name: facts[run] for name, run in runs.items()} for group, runs in groups.items()}
        )
    path = output or (places[0] / _FILE if is_single else Path(_FILE))
    try:
        write_report(path, html)
    except OSError as error:
        raise MtrackError(f"cannot write {path}: {error.strerror or error}; give another file with -o") from error
    return path


def _evaluated(
    places: Sequence[Path], files: Sequence[str], allow_change: bool, *, with_replays: bool
) -> dict[Path, RunFacts]:
    from mtrack_report.completion import complete, evaluate_alike  # noqa: PLC0415  brings matplotlib and the simulation

    if with_replays:
        return {place: complete(place, files, allow_change) for place in places}
    return evaluate_alike(places, files, allow_change)
