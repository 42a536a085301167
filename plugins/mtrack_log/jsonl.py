"""Writes metrics as lines of JSON, one per iteration, and reads such a file."""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mtrack import Metrics, MtrackError, component, param, scratch

_log = logging.getLogger(__name__)


@component
class Jsonl:
    """Writes one line of JSON per iteration into the run directory; `timings` contains what depends on the clock."""

    file: str = param(default="metrics.jsonl")
    """Name of the file in the run directory."""

    descriptor: int | None = scratch()
    waiting: list[bytes] = scratch()
    """Complete lines that are not on disk yet, in order."""
    is_failing: bool = scratch()
    path: Path = scratch()
    is_first: bool = scratch()
    """Whether nothing was logged since the start."""

    def start(self, directory: Path, run: Mapping[str, object]) -> None:
        """Open the file to append; a last line that a crash has torn is removed."""
        self.path = path = directory / self.file
        self.waiting = []
        self.is_failing = False
        self.is_first = True
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o666)
        text = path.read_bytes()
        if not text.endswith(b"\n"):
            os.ftruncate(self.descriptor, text.rfind(b"\n") + 1)

    def log(self, metrics: Metrics) -> None:
        """Append a line. On a full disk, lines stay in memory until there is space again.

        A resumed run first removes the lines of iterations after its checkpoint, which it trains again.
        """
        if self.is_first and self.descriptor is not None:
            os.ftruncate(self.descriptor, _length_before(self.path.read_bytes(), metrics))
        self.is_first = False
        self.waiting.append(to_line(metrics))
        self._write()

    def finish(self, status: str) -> None:
        """Write the waiting lines and close the file. Raises OSError if they cannot be written."""
        if self.descriptor is None:
            return
        self._write()
        os.close(self.descriptor)
        self.descriptor = None
        if self.waiting:
            raise OSError(f"the last {len(self.waiting)} iterations could not be written to {self.file}")

    def _write(self) -> None:
        if self.descriptor is None:
            raise RuntimeError("metrics were logged before start or after finish")
        try:
            if self.is_failing:
                self._end_torn_line(self.descriptor)
            while self.waiting:
                _write_whole(self.descriptor, self.waiting[0])
                del self.waiting[0]
        except OSError as error:
            if not self.is_failing:
                _log.warning("%s: %s; metrics stay in memory until the file can be written again", self.file, error)
            self.is_failing = True
        else:
            self.is_failing = False

    def _end_torn_line(self, descriptor: int) -> None:
        """Start a new line if a failed write has left part of one; readers skip that part."""
        end = os.lseek(descriptor, 0, os.SEEK_END)
        if end:
            os.lseek(descriptor, end - 1, os.SEEK_SET)
            if os.read(descriptor, 1) != b"\n":
                _write_whole(descriptor, b"\n")


def _length_before(text: bytes, metrics: Metrics) -> int:
    """Return how much of a file is of iterations before these metrics; all others are at its end."""
    length = end = len(text)
    while end:
        start = text.rfind(b"\n", 0, end - 1) + 1
        with suppress(ValueError, TypeError, KeyError):  # a torn line, or somebody else's
            line = json.loads(text[start:end])
            is_repeated = line["phase"] == metrics.phase and line["iteration"] >= metrics.iteration
            if not is_repeated and line["frames"] < metrics.frames:
                break
            length = start
        end = start
    return length


def _write_whole(descriptor: int, data: bytes) -> None:
    """Append all of the data. Raises OSError, maybe after a part of it."""
    while data:
        data = data[os.write(descriptor, data) :]


def to_line(metrics: Metrics) -> bytes:
    """Return the line of an iteration; equal runs differ in `timings` only, and values that are not finite are null."""
    timings = {**metrics.timings, "frames_per_s": metrics.frames_per_s, "eta_s": metrics.eta_s}
    progress = {key: getattr(metrics, key) for key in ("phase", "iteration", "iterations", "frames")}
    record = {**progress, "values": finite_or_none(metrics.values), "timings": finite_or_none(timings)}
    return json.dumps(record, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def read_jsonl(path: Path) -> list[Metrics]:
    """Return the iterations of a run in order. If a resumed run has repeated an iteration, the last one counts.

    Torn lines are skipped, with a warning unless it is the last line. Raises MtrackError with the number of a line that
    is valid JSON but not a record of metrics.
    """
    return list({(metrics.phase, metrics.iteration): metrics for metrics in iterate_jsonl(path)}.values())


def iterate_jsonl(path: Path) -> Iterator[Metrics]:
    """Yield the metrics of each line as it is read, repeated iterations too; see `read_jsonl`. Raises OSError."""
    for number, metrics, is_ended in each_line(path):
        if metrics is not None:
            yield metrics
        elif is_ended:
            _log.warning("%s:%d: torn line skipped", path, number)


def each_line(path: Path) -> Iterator[tuple[int, Metrics | None, bool]]:
    """Yield the number of each line, its metrics or None if it is torn, and whether it ends with a line break.

    Raises OSError, and MtrackError for a line that is valid JSON but not a record of metrics.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            is_ended = line.endswith(b"\n")  # otherwise it is still being written
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):  # no part of a record is valid JSON
                yield number, None, is_ended
                continue
            if not is_ended:
                yield number, None, is_ended
                continue
            try:
                metrics = _from_record(record)
            except (ArithmeticError, ValueError, TypeError, KeyError, AttributeError) as error:
                remedy = "delete the line to read the others"
                raise MtrackError(f"{path}:{number}: not a record of metrics ({error!r}); {remedy}") from error
            yield number, metrics, is_ended


def _from_record(record: dict[str, Any]) -> Metrics:
    timings = _numbers(record["timings"])
    if not isinstance(record["phase"], str):
        raise TypeError("its phase is not text")
    return Metrics(
        phase=record["phase"],
        iteration=int(record["iteration"]),
        iterations=int(record["iterations"]),
        frames=int(record["frames"]),
        frames_per_s=timings.pop("frames_per_s"),
        eta_s=timings.pop("eta_s"),
        values=_numbers(record["values"]),
        timings=timings,
    )


def finite_or_none(values: Mapping[str, float]) -> dict[str, float | None]:
    """Return values as JSON has them: None if one is not finite."""
    return {name: float(value) if math.isfinite(value) else None for name, value in values.items()}


def _numbers(values: Mapping[str, float | None]) -> dict[str, float]:
    return {name: math.nan if value is None else float(value) for name, value in values.items()}
