"""Hooks: events of a run that a plugin can observe.

A hook receives copies of all arguments and cannot change or stop the run. One that raises is reported once, then
disabled.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from mtrack.api.metrics import Metrics

PROJECT = "mtrack"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class Specifications:
    """The events, in the order of a run. An implementation may omit arguments that it does not need."""

    @hookspec
    def run_started(self, directory: Path, manifest: Mapping[str, object]) -> None:
        """Handle the start of a run in its directory, or its continuation."""

    @hookspec
    def phase_started(self, phase: str) -> None:
        """Handle the start of a phase, or its continuation."""

    @hookspec
    def iteration_ended(self, metrics: Metrics) -> None:
        """Handle the metrics of one iteration."""

    @hookspec
    def checkpoint_saved(self, path: Path) -> None:
        """Handle a checkpoint that has been written to disk."""

    @hookspec
    def phase_ended(self, phase: str) -> None:
        """Handle the end of a phase that has completed all its frames, or whose `until` is met."""

    @hookspec
    def run_ended(self, status: str) -> None:
        """Handle the end of the run; `status` is `finished`, `interrupted` or `failed`."""
