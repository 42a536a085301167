"""Hooks: what an operator may watch of a run. They receive copies, change no numbers and cannot stop it."""

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
    """What can be watched. An implementation may leave out arguments it does not need."""

    @hookspec
    def run_started(self, directory: Path, manifest: Mapping[str, object]) -> None:
        """Tell that a run begins, or goes on, in its directory."""

    @hookspec
    def phase_started(self, phase: str) -> None:
        """Tell that a phase begins, or goes on."""

    @hookspec
    def iteration_ended(self, metrics: Metrics) -> None:
        """Tell the figures of one iteration."""

    @hookspec
    def checkpoint_saved(self, path: Path) -> None:
        """Tell that a checkpoint is safely on disk."""

    @hookspec
    def phase_ended(self, phase: str) -> None:
        """Tell that a phase has all its frames."""

    @hookspec
    def run_ended(self, status: str) -> None:
        """Tell how the run ended: `finished`, `interrupted` or `failed`."""
