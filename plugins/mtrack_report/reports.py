"""From run directories to one report: adds what is missing, and writes the page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from mtrack import MtrackError
from mtrack_report.comparison import comparison_page
from mtrack_report.page import run_page
from mtrack_report.run_facts import RunFacts, read_run
from mtrack_report.viewer import viewer_of
from mtrack_report.written import write_report

_FILE = "report.html"


def write(
    directories: Sequence[Path], output: Path | None, evaluate: bool, files: Sequence[str], allow_change: bool
) -> Path:
    """Write a report and return its path. Raises MtrackError."""
    _require_different(directories)
    for directory in directories:
        read_run(directory)  # all must be runs, before minutes are spent on the first one
    runs = [_facts(directory, evaluate, files, allow_change) for directory in directories]
    html = run_page(runs[0], viewer_of(runs[0], tuple(files))) if len(runs) == 1 else comparison_page(runs)
    path = output or (directories[0] / _FILE if len(runs) == 1 else Path(_FILE))
    try:
        write_report(path, html)
    except OSError as error:
        raise MtrackError(f"cannot write {path}: {error.strerror or error}; give another file with -o") from error
    return path


def _facts(directory: Path, evaluate: bool, files: Sequence[str], allow_change: bool) -> RunFacts:
    if not evaluate:
        return read_run(directory)
    from mtrack_report.completion import complete  # noqa: PLC0415  brings matplotlib and the simulation

    return complete(directory, files, allow_change)


def _require_different(directories: Sequence[Path]) -> None:
    """Raise MtrackError if a run is given twice."""
    seen: set[Path] = set()
    for directory in directories:
        place = Path(os.path.realpath(directory))
        if place in seen:
            raise MtrackError(f"{directory} is given twice; give each run once")
        seen.add(place)
