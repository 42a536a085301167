"""The statistics of groups of runs: median and range over runs, and whether two groups differ by more than that.

A run is one number per metric: its mean over rollouts. All runs have the same rollouts, so what a rollout makes easy or
hard cancels in their differences. A difference exceeds the spread if every run of one group lies above every run of
the other, and if the 95 % interval of the difference over the rollouts does not contain 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import attrs
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Verdict = Literal["exceeds the spread", "within the spread", "too few runs to say", "unknown"]

LEAST_RUNS = 3
"""Runs that each group needs: of two and two runs, one in three metrics would differ by chance."""
RESAMPLES = 1000
_SEED = 0  # of the generator that draws resamples: equal evaluations give equal intervals
_QUANTILES = (0.025, 0.975)
_CLIPS_AT_ONCE = 128


@attrs.frozen
class RunSpread:
    """One metric of a group of runs."""

    values: tuple[float, ...]
    """Of each run; NaN if it is unknown."""

    @property
    def is_known(self) -> bool:
        """Return whether there is a value of every run."""
        return bool(self.values) and not any(math.isnan(value) for value in self.values)

    @property
    def median(self) -> float:
        """Return the median over the runs; NaN unless all are known."""
        return float(np.median(self.values)) if self.is_known else math.nan

    @property
    def low(self) -> float:
        """Return the smallest value; NaN unless all are known."""
        return min(self.values) if self.is_known else math.nan

    @property
    def high(self) -> float:
        """Return the largest value; NaN unless all are known."""
        return max(self.values) if self.is_known else math.nan


@attrs.frozen
class GroupDifference:
    """One metric of two groups."""

    value: float
    """Median of the first group minus that of the second; NaN if a run has no value."""
    interval: tuple[float, float] | None
    """95 % interval of `value` over the paired rollouts; None if the rollouts are not paired."""
    verdict: Verdict


def difference(first: RunSpread, second: RunSpread, interval: tuple[float, float] | None) -> GroupDifference:
    """Return the difference of two groups, and whether it exceeds the spread."""
    return GroupDifference(first.median - second.median, interval, _verdict(first, second, interval))


def _verdict(first: RunSpread, second: RunSpread, interval: tuple[float, float] | None) -> Verdict:
    if not (first.is_known and second.is_known):
        return "unknown"
    if min(len(first.values), len(second.values)) < LEAST_RUNS:
        return "too few runs to say"
    is_apart = first.low > second.high or second.low > first.high
    is_certain = interval is None or interval[0] > 0.0 or interval[1] < 0.0
    return "exceeds the spread" if is_apart and is_certain else "within the spread"


def chance(first: int, second: int) -> float:
    """Return how often all of `first` runs lie above or below all of `second` runs if the groups do not differ."""
    return 2.0 / math.comb(first + second, first)


def paired_intervals(first: Array, second: Array) -> tuple[Array, Array]:
    """Return 95 % intervals of a difference over paired rollouts: of the mean over clips [2], and of clips [2, C].

    `first` [A, C, R] and `second` [B, C, R] are the values of A and B runs in R rollouts of C clips; NaN if unknown.
    These are percentiles of a bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13):
    the R rollouts of each clip are drawn again with replacement, the same ones for every run. Runs are not drawn
    again: if groups do not differ, a bootstrap over three runs reports twice as many differences as their ranges do.
    """
    of_clips: list[Array] = []
    total, count = np.zeros((RESAMPLES, len(first) + len(second))), np.zeros((RESAMPLES, 1))
    for means in _resampled_means(np.concatenate((first, second))):
        of_clips.append(_interval(means, len(first)))
        is_known = ~np.isnan(means)
        total += np.where(is_known, means, 0.0).sum(0)
        count = count + is_known.sum(0)
    average = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    return _interval(average, len(first)), np.concatenate(of_clips, axis=1)


def _resampled_means(runs: Array) -> Iterator[Array]:
    """Yield, for some clips at a time, the means over resampled rollouts, [c, resamples, runs]; `runs` is [S, C, R]."""
    random, (_, clips, rollouts) = np.random.default_rng(_SEED), runs.shape
    values = runs.transpose(1, 2, 0)  # [C, R, S]
    for begin in range(0, clips, _CLIPS_AT_ONCE):
        some = values[begin : begin + _CLIPS_AT_ONCE]
        share = np.full(rollouts, 1.0 / rollouts)
        times = random.multinomial(rollouts, share, size=(len(some), RESAMPLES)).astype(np.float64)  # each is drawn
        is_known = ~np.isnan(some)
        sums, counts = times @ np.where(is_known, some, 0.0), times @ is_known.astype(np.float64)
        yield np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)


def _interval(means: Array, first: int) -> Array:
    """Return the percentiles of the difference of medians, [2, ...]; `means` is [..., resamples, runs].

    Resamples in which a run has no known value are left out.
    """
    differences = np.median(means[..., :first], axis=-1) - np.median(means[..., first:], axis=-1)
    is_unknown = np.isnan(differences).all(-1)
    known = np.where(np.expand_dims(is_unknown, -1), 0.0, differences)
    return np.where(is_unknown, np.nan, np.nanquantile(known, _QUANTILES, axis=-1))
