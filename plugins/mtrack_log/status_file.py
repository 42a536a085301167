"""A hook that keeps the state of a run in `status.json`, for dashboards, scripts and `watch`."""

from __future__ import annotations

import json
import logging
import math
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs

from mtrack import Metrics, hookimpl
from mtrack_log.jsonl import finite_or_none

_log = logging.getLogger(__name__)
_FILE = "status.json"
_EVERY_S = 2.0  # iterations of small tasks take milliseconds, and a write about as long


@attrs.define
class StatusFile:
    """Keeps `status.json` in the run directory up to date: status, phase, progress, ETA, checkpoint, newest metrics.

    The file is replaced as a whole, at most every 2 s, so that a reader never sees a part of it. `status` is
    `running`, `finished`, `interrupted` or `failed`. A run that was killed cannot write: its `updated` gets old.
    """

    _directory: Path | None = attrs.field(default=None, init=False)
    """The run directory; None before a run has started, when there is nothing to write."""
    _facts: dict[str, Any] = attrs.field(factory=dict, init=False)
    _written: float = attrs.field(default=-math.inf, init=False)
    """Time of the last write, monotonic clock [s]."""
    _has_failed: bool = attrs.field(default=False, init=False)
    """Whether the last write failed."""

    @hookimpl
    def run_started(self, directory: Path) -> None:
        """Write that the run is running."""
        self._directory = directory
        self._facts = {"status": "running"}
        self._write()

    @hookimpl
    def phase_started(self, phase: str) -> None:
        """Write which phase has started or resumed."""
        self._facts["phase"] = phase
        self._write()

    @hookimpl
    def iteration_ended(self, metrics: Metrics) -> None:
        """Note the progress and the metrics of an iteration, and write them if the last write is old enough."""
        numbers = {"frames_per_s": metrics.frames_per_s, "eta_s": metrics.eta_s}
        self._facts |= {name: getattr(metrics, name) for name in ("phase", "iteration", "iterations", "frames")}
        self._facts |= {**finite_or_none(numbers), "values": finite_or_none(metrics.values)}
        if time.monotonic() - self._written >= _EVERY_S:
            self._write()

    @hookimpl
    def checkpoint_saved(self, path: Path) -> None:
        """Write the name of the newest checkpoint."""
        self._facts["checkpoint"] = path.name
        self._write()

    @hookimpl
    def run_ended(self, status: str) -> None:
        """Write how the run ended: `finished`, `interrupted` or `failed`."""
        self._facts["status"] = status
        self._write()

    def _write(self) -> None:
        """Replace the file. If that fails, warn once and try again at the next occasion: a full disk may be emptied."""
        if self._directory is None:
            return
        self._written = time.monotonic()
        facts = {"updated": datetime.now(UTC).isoformat(timespec="seconds"), **self._facts}
        new = self._directory / f".{_FILE}.new"
        try:
            new.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
            new.replace(self._directory / _FILE)
        except OSError as error:
            if not self._has_failed:
                _log.warning("%s: %s; it is out of date until it can be written again", _FILE, error)
            self._has_failed = True
        else:
            self._has_failed = False
