"""Evaluations of several runs become medians and ranges, and what cannot be compared is named."""

from __future__ import annotations

import json

import numpy as np
import pytest
from rich.console import Console
from support.invented_evaluation import invented_evaluation

import mtrack_eval
from mtrack import MtrackError
from mtrack_eval.group_report import group_report
from mtrack_eval.group_table import show_groups

CLIPS = ("walk", "kick")


def evaluation(run, level, seed=0, **changes):
    """Return an evaluation whose errors are near `level`; runs of one seed have the same noise."""
    noise = np.random.default_rng(seed).normal(size=(2, 8))
    return invented_evaluation(run, {c: (level + n).tolist() for c, n in zip(CLIPS, noise, strict=True)}, **changes)


@pytest.fixture
def groups():
    new = {f"new_{i}": evaluation(f"new_{i}", level) for i, level in enumerate((10.0, 11.0, 13.0))}
    old = {f"old_{i}": evaluation(f"old_{i}", level) for i, level in enumerate((20.0, 22.0, 23.0))}
    return {"new": new, "old": old}


def test_medians_ranges_and_differences_are_those_of_the_means_of_runs(groups):
    report = group_report(groups)
    metric = report.metrics["mpkpe_local"]
    for spread, runs in zip(metric.groups, groups.values(), strict=True):
        means = [np.mean([clip["mpkpe_local"] for clip in found["clips"]]) for found in runs.values()]
        assert spread.values == pytest.approx(means)
        assert (spread.median, spread.low, spread.high) == pytest.approx((np.median(means), min(means), max(means)))
    assert metric.difference.value == pytest.approx(-11.0)
    assert metric.difference.verdict == "exceeds the spread"
    assert metric.difference.interval == pytest.approx((-11.0, -11.0)), "the runs have the same noise in each rollout"
    assert report.metrics["failed"].difference.verdict == "within the spread"
    assert report.chance == pytest.approx(0.1)
    assert set(report.clips) == set(CLIPS)
    assert report.clips["walk"]["mpkpe_local"].difference.verdict == "exceeds the spread"
    assert report.notes == []


def test_a_difference_within_the_range_of_the_runs_does_not_exceed_the_spread(groups):
    groups["new"]["new_2"] = evaluation("new_2", 21.0)
    assert group_report(groups).metrics["mpkpe_local"].difference.verdict == "within the spread"


def test_runs_compared_with_their_own_copies_do_not_differ_at_all(groups):
    copies = {f"copy_{name}": found for name, found in groups["new"].items()}
    report = group_report({"new": groups["new"], "copies": copies})
    assert report.is_paired
    for metric in (*report.metrics.values(), *report.clips["walk"].values()):
        assert (metric.difference.value, metric.difference.interval) == (0.0, (0.0, 0.0))
        assert metric.difference.verdict == "within the spread"


def test_one_group_has_no_differences(groups):
    report = group_report({"new": groups["new"]})
    assert report.metrics["mpkpe_local"].difference is None
    assert report.chance is None
    assert "difference" not in report.to_dict()["average"]["mpkpe_local"]


def test_one_run_in_each_group_is_too_few_to_say(groups):
    report = group_report({name: dict(list(runs.items())[:1]) for name, runs in groups.items()})
    found = report.metrics["mpkpe_local"].difference
    assert (found.verdict, found.interval) == ("too few runs to say", pytest.approx((-10.0, -10.0)))
    assert report.chance is None


@pytest.mark.parametrize(
    ("changes", "note", "is_paired"),
    [
        ({"frames": 900}, "the trained frames (800: new_0, new_1, new_2, old_0, old_1; 900: old_2)", True),
        ({"task": {"backend": "mtrack:warp", "metrics": {}}}, "the backend (mtrack:mujoco: new_0", True),
        ({"draws": "others"}, "", False),
        (
            {"conditions": {"seed": 1, "randomizations": [{"slot": "push"}], "scored_by": "clips"}},
            "active randomizations (none: new_0, new_1, new_2, old_0, old_1; push: old_2)",
            False,
        ),
        ({"actor": "teacher"}, "the actor (student: ", True),
    ],
)
def test_what_differs_between_runs_is_named_and_unpaired_rollouts_have_no_interval(groups, changes, note, is_paired):
    groups["old"]["old_2"] = evaluation("old_2", 23.0, **changes)
    report = group_report(groups)
    assert note in "\n".join(report.notes)
    assert report.is_paired is is_paired
    metric = next(iter(report.metrics.values()))
    assert (metric.difference.interval is not None) is is_paired


def test_metrics_and_clips_that_not_all_runs_have_are_left_out(groups):
    other = evaluation("old_2", 23.0, task={"backend": "mtrack:mujoco", "metrics": {"mpkpe_local": {"use": "mine"}}})
    other["clips"][0]["sha256"] = "of another walk"
    groups["old"]["old_2"] = other
    report = group_report(groups)
    assert list(report.metrics) == ["failed", "success_body"]
    assert list(report.clips) == ["kick"]
    assert report.distance == ""
    assert "left out: mpkpe_local" in report.notes[0]
    assert "left out: walk" in report.notes[1]


def test_runs_with_nothing_in_common_are_rejected(groups):
    for clip in groups["old"]["old_2"]["clips"]:
        clip["sha256"] = "of another clip"
    with pytest.raises(MtrackError, match=r"no clip in common.*--motions PATH"):
        group_report(groups)
    del groups["old"]["old_2"]["clips"]
    with pytest.raises(MtrackError, match=r"others by episodes.*--episodes 100"):
        group_report(groups)


def test_evaluations_of_an_earlier_format_are_compared_by_runs_alone(groups):
    for runs in groups.values():
        for found in runs.values():
            for key in ("draws", "task"):
                del found[key]
            for clip in found["clips"]:
                del clip["rollouts"], clip["sha256"]
    report = group_report(groups)
    found = report.metrics["mpkpe_local"].difference
    assert (found.interval, found.verdict) == (None, "exceeds the spread")


def test_an_unknown_value_of_one_run_makes_the_metric_unknown(groups):
    groups["new"]["new_0"] = invented_evaluation("new_0", {clip: [None] * 8 for clip in CLIPS})
    report = group_report(groups)
    assert report.metrics["mpkpe_local"].difference.verdict == "unknown"
    assert report.metrics["success_body"].difference.verdict == "within the spread"
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False))["average"]["mpkpe_local"]["difference"] is None


@pytest.mark.parametrize("width", [80, 120])
def test_tables_fit_the_terminal_and_say_what_a_verdict_means(groups, width):
    groups["old"]["old_0"]["frames"] = 900
    console = Console(width=width, force_terminal=True, color_system=None, record=True)
    show_groups(group_report(groups), console)
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= width
    for shown in (
        "new: 3 runs: new_0, new_1, new_2",
        "8 rollouts of each of 2 clips, the same for all runs",
        "note: the runs differ in the trained frames",
        "exceeds",
        "within",
        "difference: median of new minus",
    ):
        assert shown in text.replace("\n", " ") if shown.startswith("note") else shown in text
    assert "every run of one group lies above every run of the other" in text
    assert "in 10 % of metrics" in text


def test_reports_are_aggregated_by_a_function_too(groups):
    new, old = (list(runs.values()) for runs in groups.values())
    report = mtrack_eval.aggregate(new, old)
    assert list(report.groups) == ["A", "B"]
    assert report.metrics["mpkpe_local"].difference.verdict == "exceeds the spread"
    same_name = mtrack_eval.aggregate([new[0], new[0]])
    assert list(same_name.groups["runs"]) == ["new_0", "new_0 (2)"]
    with pytest.raises(MtrackError, match="no reports"):
        mtrack_eval.aggregate([])
