"""Sends metrics to loggers and events to hooks. One that raises is reported once and disabled; training continues."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtrack.api.metrics import Metrics
from mtrack.errors import MtrackError, Problem, RecipeError, describe_error, is_from_user
from mtrack.loop.process_state import process_state_kept
from mtrack.loop.wiring import blame_component
from mtrack.recipe.checked import Recipe
from mtrack.run.hooks import Hooks

_log = logging.getLogger("mtrack")


class Reporter:
    """All loggers of a run, and its hooks."""

    def __init__(self, recipe: Recipe, hooks: Hooks) -> None:
        """Build the loggers of the recipe. Raises ComponentError."""
        self.hooks = hooks
        self.loggers: dict[str, Any] = {}
        """By slot name; those that can still be called."""
        self._recipe = recipe
        for name, slot in recipe.loggers.items():
            with blame_component(slot):
                self.loggers[name] = slot.build()

    def start(self, directory: Path, manifest: Mapping[str, object]) -> None:
        """Start every logger, then the hooks; each receives its own copy of the manifest.

        Raises RecipeError, with the logger's line, if one needs something from the user (a package, for instance).
        """
        built, self.loggers = self.loggers, {}
        for name, logger in built.items():
            try:
                with process_state_kept(str(self._recipe.loggers[name])):
                    logger.start(directory, copy.deepcopy(manifest))
            except MtrackError as error:
                raise self._rejected(name, error) from error
            except BaseException as error:
                self._disable(name, "start", error)
            else:
                self.loggers[name] = logger  # a logger that has not started is not finished
        self.hooks.call("run_started", directory=directory, manifest=manifest)

    def phase_started(self, phase: str) -> None:
        """Report that a phase starts or resumes."""
        self.hooks.call("phase_started", phase=phase)

    def phase_ended(self, phase: str) -> None:
        """Report that a phase has ended: it has all its frames, or has learned."""
        self.hooks.call("phase_ended", phase=phase)

    def log(self, metrics: Metrics) -> None:
        """Report the metrics of one iteration."""
        self._each("log", metrics)
        self.hooks.call("iteration_ended", metrics=metrics)

    def checkpoint_saved(self, path: Path) -> None:
        """Report a checkpoint that is on disk; `checkpoint_saved` is an optional method of loggers."""
        self._each("checkpoint_saved", path)
        self.hooks.call("checkpoint_saved", path=path)

    def finish(self, status: str) -> None:
        """Close all with `finished`, `interrupted` or `failed`."""
        self._each("finish", status)
        self.hooks.call("run_ended", status=status)

    def _each(self, method: str, argument: object) -> None:
        for name, logger in list(self.loggers.items()):
            if not hasattr(logger, method):
                continue
            own = copy.deepcopy(argument)  # a logger cannot change what the others receive
            try:
                with process_state_kept(str(self._recipe.loggers[name])):
                    getattr(logger, method)(own)
            except BaseException as error:  # sys.exit and KeyboardInterrupt of a logger are its own errors too
                self._disable(name, method, error)

    def _disable(self, name: str, method: str, error: BaseException) -> None:
        """Report a logger that raised and disable it; an interrupt of the user passes."""
        if is_from_user(error):
            raise error
        self.loggers.pop(name, None)
        slot, reason = self._recipe.loggers[name], describe_error(error)
        _log.warning("%s failed in %s and is disabled, training continues: %s", slot, method, reason)

    def _rejected(self, name: str, error: MtrackError) -> RecipeError:
        """Return the error of a logger that cannot start."""
        path = f"loggers.{name}"
        source, (place, line) = self._recipe.source, self._recipe.source.origin(path)
        hint = f"or train without this logger: --set {path}.enabled=false"
        problem = Problem(path, f"{self._recipe.loggers[name]} cannot start: {error}", hint, place, line)
        return RecipeError(source.name, [problem])
