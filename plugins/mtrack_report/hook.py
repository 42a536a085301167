"""A hook that writes `report.html` into the run directory when a run ends, from what exists, without a rollout."""

from __future__ import annotations

from pathlib import Path

import attrs

from mtrack import hookimpl


@attrs.define
class ReportFile:
    """Writes `report.html` when a run ends or stops: curves, recipe and provenance in one file.

    It simulates nothing; `mtrack report RUN` adds evaluation and replays.
    """

    _directory: Path | None = attrs.field(default=None, init=False)
    """The run directory; None before a run has started."""

    @hookimpl
    def run_started(self, directory: Path) -> None:
        """Remember the run directory."""
        self._directory = directory

    @hookimpl
    def run_ended(self, status: str) -> None:
        """Write the report; `status` is `finished`, `interrupted` or `failed`. Raises OSError, MtrackError."""
        from mtrack_report.page import run_page  # noqa: PLC0415  only a run that ends needs it
        from mtrack_report.run_facts import read_run  # noqa: PLC0415
        from mtrack_report.written import write_report  # noqa: PLC0415

        if self._directory is None or not (self._directory / "recipe.toml").is_file():
            return  # the run failed before it wrote what a report is about
        write_report(self._directory / "report.html", run_page(read_run(self._directory, status)))
