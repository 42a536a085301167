"""Evaluations of several runs as one report: median and range of one group of runs, or of two and their difference."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from mtrack import MtrackError
from mtrack_eval.group_statistics import (
    LEAST_RUNS,
    RESAMPLES,
    Array,
    GroupDifference,
    RunSpread,
    chance,
    difference,
    paired_intervals,
)
from mtrack_eval.same_task import Found, clips_of, differences_of_task, in_all, is_paired, metric_definitions

FAILED = "failed"
"""The share of rollouts or episodes that failed by any criterion, beside the metrics of the recipe."""


@attrs.frozen
class GroupMetric:
    """One metric of one or two groups."""

    groups: tuple[RunSpread, ...]
    difference: GroupDifference | None
    """None without a second group."""

    def to_dict(self) -> dict[str, Any]:
        """Return it JSON-able, None for an unknown value."""
        found = {
            "groups": [
                {
                    "median": _known(group.median),
                    "min": _known(group.low),
                    "max": _known(group.high),
                    "values": [_known(value) for value in group.values],
                }
                for group in self.groups
            ]
        }
        if self.difference is None:
            return found
        interval = self.difference.interval
        return {
            **found,
            "difference": _known(self.difference.value),
            "interval": None if interval is None else [_known(bound) for bound in interval],
            "verdict": self.difference.verdict,
        }


@attrs.frozen(kw_only=True)
class GroupReport:
    """The evaluations of one or two groups of runs."""

    groups: Mapping[str, Mapping[str, Found]] = attrs.field(repr=False)
    """What was evaluated, as `mtrack eval --json` prints it: by name of the group and of the run."""
    notes: Sequence[str]
    """In what the evaluations differ although they should not."""
    is_paired: bool
    """Whether rollout i of a clip has the same random draws in all runs."""
    units: Mapping[str, str] = attrs.field(repr=False)
    distance: str
    """The metric slot that orders clips; empty without one."""
    metrics: Mapping[str, GroupMetric] = attrs.field(repr=False)
    """By metric slot; a run is one value, its mean over all clips and rollouts. `failed` is a share of rollouts."""
    clips: Mapping[str, Mapping[str, GroupMetric]] = attrs.field(repr=False)
    """By clip, the worst first, and metric slot; empty for evaluations by episodes."""

    @property
    def chance(self) -> float | None:
        """How often all runs of one group lie above the other by chance; None if there are too few runs to compare."""
        sizes = [len(runs) for runs in self.groups.values()]
        return chance(*sizes) if len(sizes) == 2 and min(sizes) >= LEAST_RUNS else None

    def to_dict(self) -> dict[str, Any]:
        """Return what `mtrack eval A B --json` prints: JSON-able, None for an unknown value."""
        facts = ("run", "checkpoint", "actor", "frames", "rollouts", "episodes")
        return {
            "groups": [
                {
                    "name": name,
                    "runs": [{**{key: found.get(key) for key in facts}, "run": run} for run, found in runs.items()],
                }
                for name, runs in self.groups.items()
            ],
            "is_paired": self.is_paired,
            "notes": list(self.notes),
            "chance": self.chance,
            "resamples": RESAMPLES,
            "units": dict(self.units),
            "distance": self.distance,
            "average": {slot: metric.to_dict() for slot, metric in self.metrics.items()},
            "clips": [
                {"clip": clip, **{slot: metric.to_dict() for slot, metric in metrics.items()}}
                for clip, metrics in self.clips.items()
            ],
        }


def group_report(groups: Mapping[str, Mapping[str, Found]]) -> GroupReport:
    """Return the report of one or two groups of evaluated runs. Raises MtrackError if they have nothing in common."""
    runs = {run: found for members in groups.values() for run, found in members.items()}
    everything = list(runs.values())
    slots = in_all([metric_definitions(found) for found in everything])
    clips = in_all([clips_of(found) for found in everything])
    if len({"clips" in found for found in everything}) > 1:
        raise MtrackError("some runs were scored by clips, others by episodes; score all by episodes: --episodes 100")
    by_clips = "clips" in everything[0]
    if not slots or (by_clips and not clips):
        lacking = "clip" if slots else "metric"
        remedy = "score all on the same clips: --motions PATH" if slots else "score runs with the same metrics"
        raise MtrackError(f"the runs have no {lacking} in common, so there is nothing to compare; {remedy}")
    paired = is_paired(everything)
    units = {slot: unit for found in everything for slot, unit in found["units"].items()}
    names = [FAILED, *slots] if not by_clips or any(found.get("judges") for found in everything) else slots
    tables = [_tables(list(members.values()), names, clips) for members in groups.values()] if by_clips else []
    metrics, of_clips = _by_clips(tables, clips, paired) if by_clips else (_by_episodes(groups, names), {})
    distance = str(everything[0].get("distance", ""))
    return GroupReport(
        groups=groups,
        notes=list(differences_of_task(runs)),
        is_paired=paired,
        units={FAILED: "share", **({} if by_clips else {"length": "steps"}), **units},
        distance=distance if distance in metrics else "",
        metrics=metrics,
        clips=_worst_first(of_clips, distance),
    )


def _tables(runs: Sequence[Found], names: Sequence[str], clips: Sequence[str]) -> dict[str, tuple[Array, Array]]:
    """Return by metric the means of runs, [S, C], and the values of their rollouts, [S, C, R]; NaN if unknown."""
    entries = [{clip["clip"]: clip for clip in found["clips"]} for found in runs]
    least = min(len(entry.get("rollouts", {}).get(FAILED, ())) for by_name in entries for entry in by_name.values())

    def rollouts(entry: Found, name: str) -> list[float]:
        return [_number(value) for value in entry["rollouts"][name][:least]] if least else []

    return {
        name: (
            np.array([[_number(by_name[clip].get(name)) for clip in clips] for by_name in entries]),
            np.array([[rollouts(by_name[clip], name) for clip in clips] for by_name in entries]),
        )
        for name in names
    }


def _by_clips(
    tables: Sequence[Mapping[str, tuple[Array, Array]]], clips: Sequence[str], paired: bool
) -> tuple[dict[str, GroupMetric], dict[str, dict[str, GroupMetric]]]:
    """Return the metrics over all clips, and those of each clip."""
    metrics: dict[str, GroupMetric] = {}
    of_clips: dict[str, dict[str, GroupMetric]] = {clip: {} for clip in clips}
    for name in tables[0]:
        means = [table[name][0] for table in tables]
        rollouts = [table[name][1] for table in tables]
        has_intervals = paired and len(tables) > 1 and rollouts[0].shape[-1] > 1
        whole, each = paired_intervals(*rollouts) if has_intervals else (None, None)
        metrics[name] = _metric([_mean(table) for table in means], whole)
        for index, clip in enumerate(clips):
            interval = None if each is None else each[:, index]
            of_clips[clip][name] = _metric([table[:, index] for table in means], interval)
    return metrics, of_clips


def _by_episodes(groups: Mapping[str, Mapping[str, Found]], names: Sequence[str]) -> dict[str, GroupMetric]:
    def values(runs: Mapping[str, Found], name: str) -> Array:
        return np.array([_number((found if name == FAILED else found["average"]).get(name)) for found in runs.values()])

    return {name: _metric([values(runs, name) for runs in groups.values()], None) for name in names}


def _metric(groups: Sequence[Array], interval: Array | None) -> GroupMetric:
    spreads = tuple(RunSpread(tuple(values.tolist())) for values in groups)
    bounds = None if interval is None else (float(interval[0]), float(interval[1]))
    return GroupMetric(spreads, difference(spreads[0], spreads[1], bounds) if len(spreads) > 1 else None)


def _mean(table: Array) -> Array:
    """Return the mean over the clips that are known, [S]; `table` is [S, C]."""
    is_known = ~np.isnan(table)
    count = is_known.sum(1)
    total = np.where(is_known, table, 0.0).sum(1)
    mean: Array = np.divide(total, count, out=np.full(len(table), np.nan), where=count > 0)
    return mean


def _worst_first(clips: Mapping[str, Mapping[str, GroupMetric]], distance: str) -> dict[str, Mapping[str, GroupMetric]]:
    """Return the clips in order: those that fail most in any run, then those with the largest error."""

    def badness(clip: str) -> tuple[float, ...]:
        metrics = [clips[clip].get(name) for name in (FAILED, distance)]
        values = [[v for group in metric.groups for v in group.values] if metric else [] for metric in metrics]
        return tuple(max((v for v in some if not math.isnan(v)), default=math.inf) for some in values)

    return {clip: clips[clip] for clip in sorted(clips, key=badness, reverse=True)}


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
