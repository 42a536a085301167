"""Metrics to loggers and events to hooks; one that raises is reported once and left out, training goes on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mtrack.hooks import Hooks
from mtrack.metrics import Metrics
from mtrack.process_state import process_state_kept
from mtrack.structure import Recipe

_log = logging.getLogger("mtrack")


class Reporter:
    """All loggers of a run, and its hooks."""

    def __init__(self, recipe: Recipe, hooks: Hooks) -> None:
        """Build the loggers of the recipe."""
        self.hooks = hooks
        self.loggers: dict[str, Any] = {name: slot.build() for name, slot in recipe.loggers.items()}

    def start(self, directory: Path, manifest: Mapping[str, object]) -> None:
        """Open all. An error here is the user's to mend (a missing extra), so it is not swallowed."""
        for name, logger in self.loggers.items():
            with process_state_kept(f"loggers.{name}"):
                logger.start(directory, manifest)
        self.hooks.call("run_started", directory=directory, manifest=manifest)

    def phase_started(self, phase: str) -> None:
        """Tell that a phase begins or goes on."""
        self.hooks.call("phase_started", phase=phase)

    def phase_ended(self, phase: str) -> None:
        """Tell that a phase has all its frames."""
        self.hooks.call("phase_ended", phase=phase)

    def log(self, metrics: Metrics) -> None:
        """Pass on the metrics of one iteration."""
        self._each(lambda logger: logger.log(metrics))
        self.hooks.call("iteration_ended", metrics=metrics)

    def checkpoint_saved(self, path: Path) -> None:
        """Tell those who care (an optional method of loggers) that a checkpoint is there."""
        self._each(lambda logger: logger.checkpoint_saved(path) if hasattr(logger, "checkpoint_saved") else None)
        self.hooks.call("checkpoint_saved", path=path)

    def finish(self, status: str) -> None:
        """Close all."""
        self._each(lambda logger: logger.finish(status))
        self.hooks.call("run_ended", status=status)

    def _each(self, call: Callable[[Any], object]) -> None:
        for name, logger in list(self.loggers.items()):
            try:
                with process_state_kept(f"loggers.{name}"):
                    call(logger)
            except Exception as error:  # whatever a logger does wrong must not stop training
                del self.loggers[name]
                _log.warning("loggers.%s raised %s: %s; it is left out from here on", name, type(error).__name__, error)
