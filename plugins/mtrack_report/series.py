"""What a chart draws as one line: a run, or the median of a group of runs with their range."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import attrs
import numpy as np

from mtrack_report.history import Column, Curve, Rows
from mtrack_report.quantities import number_of
from mtrack_report.run_facts import RunFacts


@attrs.frozen(eq=False)
class Series:
    """A run or a group of runs in all charts; P points."""

    name: str
    frames: Column
    """[P] x axis."""
    phases: Sequence[str]
    """The phase of each point."""
    begins: Sequence[tuple[float, str]]
    """Frames at which its phases begin, and their names."""
    metrics: Sequence[str]
    """All metrics that it has."""
    curve: Callable[[str], Curve]
    """Return a metric that it has."""
    members: Callable[[str], Sequence[tuple[Column, Column]]] = lambda metric: ()
    """Return frames and means of a metric of the single runs of a group."""


def run_series(name: str, run: RunFacts) -> Series:
    """Return a run; its bands are the ranges of iterations."""
    starts, history = run.history.starts(), run.history
    return Series(
        name=name,
        frames=_ends(run, starts),
        phases=_phase_of(run, starts),
        begins=_begins(run),
        metrics=list(history.columns),
        curve=lambda metric: history.curve(metric, starts),
    )


def group_series(name: str, runs: Sequence[RunFacts]) -> Series:
    """Return a group of runs, aligned by their frames: the median, and as band the range over the runs.

    Points are those of the run with the most frames. A run counts up to its last frame.
    """
    each = [run_series(name, run) for run in runs]
    longest = max(each, key=lambda series: float(series.frames[-1]))
    names = list(dict.fromkeys(metric for series in each for metric in series.metrics))

    def members(metric: str) -> list[tuple[Column, Column]]:
        return [(series.frames, series.curve(metric).mean) for series in each if metric in series.metrics]

    def curve(metric: str) -> Curve:
        return _median([_at(longest.frames, *member) for member in members(metric)])

    return attrs.evolve(longest, metrics=names, curve=curve, members=members)


def all_series(groups: Mapping[str, Mapping[str, RunFacts]], is_aggregated: bool) -> dict[str, Series | None]:
    """Return what charts draw, by name: one series per group or per run; None without any metrics."""
    if is_aggregated:
        each = {f"{name} ({number_of(len(runs), 'run')})": list(runs.values()) for name, runs in groups.items()}
    else:
        each = {name: [run] for members in groups.values() for name, run in members.items()}
    found: dict[str, Series | None] = {}
    for name, runs in each.items():
        drawn = [run for run in runs if len(run.history.frames)]
        found[name] = (group_series(name, drawn) if len(drawn) > 1 else run_series(name, drawn[0])) if drawn else None
    return found


def _at(frames: Column, own: Column, values: Column) -> Column:
    """Return the values of a run at other frames, those of its nearest later point; NaN after its last frame."""
    indices = np.searchsorted(own, frames)
    return np.where(indices < len(own), values[np.minimum(indices, len(own) - 1)], np.nan)


def _median(values: Sequence[Column]) -> Curve:
    """Return median, smallest and largest of the runs that have a value, at each point."""
    table = np.sort(np.stack(values), axis=0)  # NaN comes last
    count = (~np.isnan(table)).sum(0)
    columns = np.arange(table.shape[1])

    def ranked(rank: Rows) -> Column:
        return np.where(count > 0, table[np.maximum(rank, 0), columns], np.nan)

    middle = 0.5 * (ranked((count - 1) // 2) + ranked(count // 2))
    return Curve(middle, ranked(np.zeros_like(count)), ranked(count - 1))


def _begins(run: RunFacts) -> list[tuple[float, str]]:
    """Return the frames at which phases begin, and their names."""
    frames = run.history.frames
    return [(float(frames[each.first - 1]) if each.first else 0.0, each.phase) for each in run.history.stretches]


def _ends(run: RunFacts, starts: Rows) -> Column:
    """Return the frames of the last row of each point of a curve."""
    frames = run.history.frames
    last: Column = frames[np.append(starts[1:], len(frames)) - 1]
    return last


def _phase_of(run: RunFacts, starts: Rows) -> list[str]:
    """Return the phase of each point of a curve."""
    names = [stretch.phase for stretch in run.history.stretches]
    firsts = [stretch.first for stretch in run.history.stretches]
    return [names[index] for index in (np.searchsorted(firsts, starts, side="right") - 1).tolist()]
