"""The metrics of a run by column, and shortened to as many points as a chart can show."""

from __future__ import annotations

from array import array
from itertools import pairwise
from pathlib import Path

import attrs
import numpy as np
from numpy.typing import NDArray

from mtrack_log.jsonl import iterate_jsonl

Column = NDArray[np.float64]
Rows = NDArray[np.int64]
MOST_POINTS = 300
"""Points of a curve, all phases together."""
_LEAST_POINTS = 20  # of a phase, so that a short one is not one point beside a long one


@attrs.frozen
class Stretch:
    """The iterations of one phase, in the rows `first` to `end` (exclusive) of a history."""

    phase: str
    first: int
    end: int
    iterations: int
    """Of the whole phase."""

    @property
    def share(self) -> float:
        """Share of the iterations of the phase that these are."""
        return min(1.0, (self.end - self.first) / self.iterations)


@attrs.frozen(eq=False)
class Curve:
    """One metric, in P points: means of groups of iterations, with their smallest and largest value."""

    mean: Column
    low: Column
    high: Column


@attrs.frozen(eq=False)
class MetricHistory:
    """The metrics of a run, one row per iteration, R of them."""

    stretches: tuple[Stretch, ...] = ()
    frames: Column = attrs.field(factory=lambda: np.zeros(0))
    """[R] finished frames of the run."""
    columns: dict[str, Column] = attrs.field(factory=dict)
    """[R] by metric; NaN in an iteration without it. Durations are `time/NAME` [s], speed is `time/frames_per_s`."""

    def last(self, name: str) -> float:
        """Return the newest value of a metric; NaN if it is unknown."""
        column = self.columns.get(name, np.zeros(0))
        known = column[~np.isnan(column)]
        return float(known[-1]) if len(known) else float("nan")

    def seconds(self, stretch: Stretch) -> float:
        """Return the time that the iterations of a phase took, without checkpoints [s]."""
        parts = [c for name, c in self.columns.items() if name.startswith("time/") and name != "time/frames_per_s"]
        return float(sum(np.nansum(part[stretch.first : stretch.end]) for part in parts))

    def speed(self, stretch: Stretch) -> float:
        """Return the median of the frames per second in a phase."""
        return float(np.median(self.columns["time/frames_per_s"][stretch.first : stretch.end]))

    def starts(self) -> Rows:
        """Return the first row of each point of a curve, [P]."""
        total = max(1, len(self.frames))
        edges = []
        for stretch in self.stretches:
            rows = stretch.end - stretch.first
            points = min(rows, max(_LEAST_POINTS, round(MOST_POINTS * rows / total)))
            edges.append(stretch.first + np.arange(points) * rows // points)
        return np.concatenate(edges) if edges else np.zeros(0, dtype=np.int64)

    def curve(self, name: str, starts: Rows) -> Curve:
        """Return a metric in points that begin at these rows."""
        column = self.columns[name]
        known = ~np.isnan(column)
        count = np.add.reduceat(known.astype(np.float64), starts)
        total = np.add.reduceat(np.where(known, column, 0.0), starts)
        mean = np.divide(total, count, out=np.full(len(starts), np.nan), where=count > 0)
        return Curve(mean, np.fmin.reduceat(column, starts), np.fmax.reduceat(column, starts))


def read_history(path: Path) -> MetricHistory:
    """Read the file of the logger `jsonl`, line by line. Raises OSError, MtrackError."""
    rows: dict[tuple[str, int], int] = {}
    totals: dict[str, int] = {}
    frames: array[float] = array("d")
    columns: dict[str, array[float]] = {}
    for metrics in iterate_jsonl(path):
        row = rows.setdefault((metrics.phase, metrics.iteration), len(rows))
        totals[metrics.phase] = metrics.iterations
        _put(frames, row, metrics.frames)
        times = {f"time/{name}": value for name, value in metrics.timings.items()}
        for name, value in {**metrics.values, **times, "time/frames_per_s": metrics.frames_per_s}.items():
            _put(columns.setdefault(name, array("d")), row, value)
    for column in columns.values():
        column.extend([np.nan] * (len(rows) - len(column)))
    arrays = {name: np.frombuffer(column) for name, column in columns.items()}
    return MetricHistory(_stretches([phase for phase, _ in rows], totals), np.frombuffer(frames), arrays)


def _put(column: array[float], row: int, value: float) -> None:
    """Set the value of a row; rows that the column lacks become NaN."""
    if row < len(column):
        column[row] = value
        return
    if row > len(column):
        column.extend([np.nan] * (row - len(column)))
    column.append(value)


def _stretches(phases: list[str], totals: dict[str, int]) -> tuple[Stretch, ...]:
    """Return the runs of equal phases; one that a resumed run repeats in part keeps its rows."""
    edges = [row for row in range(len(phases)) if row == 0 or phases[row] != phases[row - 1]]
    pairs = pairwise([*edges, len(phases)])
    return tuple(Stretch(phases[first], first, end, totals[phases[first]]) for first, end in pairs)
