"""Statistics of groups of runs agree with independent computations, and runs, not rollouts, are what is counted."""

from __future__ import annotations

import math
import random
import statistics
from itertools import combinations

import numpy as np
import pytest

from mtrack_eval.group_statistics import RunSpread, chance, difference, paired_intervals

NAN = math.nan


def verdict(first, second, interval=None):
    return difference(RunSpread(first), RunSpread(second), interval).verdict


def test_a_group_is_summarised_by_median_and_range():
    spread = RunSpread((3.0, 1.0, 7.0))
    assert (spread.median, spread.low, spread.high) == (3.0, 1.0, 7.0)
    assert RunSpread((1.0, 2.0)).median == 1.5
    assert all(math.isnan(value) for value in (RunSpread((1.0, NAN)).median, RunSpread((1.0, NAN)).low))


@pytest.mark.parametrize(
    ("first", "second", "interval", "expected"),
    [
        ((1.0, 2.0, 3.0), (4.0, 5.0, 6.0), None, "exceeds the spread"),
        ((4.0, 5.0, 6.0), (1.0, 2.0, 3.0), None, "exceeds the spread"),
        ((1.0, 2.0, 4.0), (4.0, 5.0, 6.0), None, "within the spread"),
        ((1.0, 2.0, 9.0), (4.0, 5.0, 6.0), None, "within the spread"),
        ((1.0, 1.0, 1.0), (1.0, 1.0, 1.0), (0.0, 0.0), "within the spread"),
        ((1.0, 2.0, 3.0), (4.0, 5.0, 6.0), (-3.5, -2.5), "exceeds the spread"),
        ((1.0, 2.0, 3.0), (4.0, 5.0, 6.0), (-7.0, 0.5), "within the spread"),
        ((1.0,), (100.0,), (-99.0, -99.0), "too few runs to say"),
        ((1.0, 1.0), (100.0, 100.0, 100.0), None, "too few runs to say"),
        ((1.0, 2.0, NAN), (4.0, 5.0, 6.0), None, "unknown"),
    ],
)
def test_a_difference_exceeds_the_spread_if_the_runs_are_apart_and_the_rollouts_agree(
    first, second, interval, expected
):
    assert verdict(first, second, interval) == expected


@pytest.mark.parametrize(("first", "second"), [(3, 3), (3, 4), (5, 3)])
def test_the_chance_is_the_share_of_all_ways_to_divide_the_runs(first, second):
    runs = [float(index) for index in range(first + second)]
    ways = list(combinations(runs, first))
    apart = [verdict(way, tuple(run for run in runs if run not in way)) == "exceeds the spread" for way in ways]
    assert chance(first, second) == pytest.approx(sum(apart) / len(ways))


def test_what_rollouts_have_in_common_cancels_in_the_interval():
    generator = np.random.default_rng(1)
    hard = 100.0 * generator.normal(size=(4, 8))  # clips and rollouts: the same for all runs
    first = hard + np.array([1.0, 2.0, 3.0])[:, None, None]
    whole, clips = paired_intervals(first, hard + np.array([5.0, 6.0, 7.0])[:, None, None])
    assert np.allclose(whole, -4.0)
    assert np.allclose(clips, -4.0)
    assert clips.shape == (2, 4)


def test_runs_with_equal_rollouts_have_no_difference_at_all():
    values = np.random.default_rng(2).normal(size=(3, 5, 8))
    whole, clips = paired_intervals(values, values.copy())
    assert not whole.any()
    assert not clips.any()


def test_the_interval_agrees_with_a_bootstrap_written_without_arrays():
    generator = np.random.default_rng(3)
    first, second = generator.normal(1.0, 1.0, size=(3, 2, 6)), generator.normal(0.0, 1.0, size=(3, 2, 6))
    draw, found = random.Random(4), []
    for _ in range(4000):
        chosen = [[draw.randrange(6) for _ in range(6)] for _ in range(2)]
        means = [
            [
                statistics.fmean(statistics.fmean(run[c][i] for i in chosen[c]) for c in range(2))
                for run in group.tolist()
            ]
            for group in (first, second)
        ]
        found.append(statistics.median(means[0]) - statistics.median(means[1]))
    percentiles = statistics.quantiles(found, n=40)
    assert paired_intervals(first, second)[0] == pytest.approx([percentiles[0], percentiles[-1]], abs=0.12)


def test_an_unknown_rollout_is_left_out_and_intervals_are_reproducible():
    values = np.random.default_rng(5).normal(size=(3, 300, 4))
    values[0, 7, 2] = NAN
    whole, clips = paired_intervals(values, values + 1.0)
    assert np.isfinite(whole).all()
    assert np.isfinite(clips).all()
    again = paired_intervals(values, values + 1.0)
    assert np.array_equal(whole, again[0])
    assert np.array_equal(clips, again[1])
