"""Averages by clip and by frame, with and without failures; clips are ordered worst first."""

from __future__ import annotations

import math
from io import StringIO

import pytest
import torch
from rich.console import Console

from mtrack_eval.clip_report import ClipReport
from mtrack_eval.clip_summary import ClipMetrics, MetricSummary, summarise, worst_first
from mtrack_eval.rollouts import Rollouts

NAN = math.nan


@pytest.fixture
def summary():
    """Two clips of 100 and 300 frames, two rollouts each; the second rollout of the second clip fails after 60."""
    rollouts = Rollouts(
        values={
            "success": torch.tensor([[1.0, 1.0], [1.0, 0.0]]),
            "error": torch.tensor([[10.0, 20.0], [40.0, 100.0]]),
            "effort": torch.tensor([[NAN, NAN], [NAN, NAN]]),
        },
        failed=torch.tensor([[False, False], [False, True]]),
        frames=torch.tensor([[100.0, 100.0], [300.0, 60.0]]),
        curves={},
    )
    return summarise(rollouts, ["short", "long"], torch.tensor([100, 300]), whole=["success"])


def test_averages_by_clip_weight_clips_equally_and_averages_by_frame_weight_them_by_length(summary):
    assert summary.average["error"] == pytest.approx((15.0 + 70.0) / 2)
    frames = 100 + 100 + 300 + 60
    assert summary.average_by_frame["error"] == pytest.approx((1000 + 2000 + 12000 + 6000) / frames)
    assert summary.average["success"] == 0.75
    assert summary.average_by_frame["success"] == pytest.approx(500 / 800), "with the clip's length, not until failure"


def test_failed_rollouts_can_be_left_out(summary):
    assert summary.average_without_failed["error"] == pytest.approx((15.0 + 40.0) / 2)
    assert summary.average_by_frame_without_failed["error"] == pytest.approx((1000 + 2000 + 12000) / 500)
    assert summary.average_without_failed["success"] == 1.0


def test_spread_is_the_deviation_of_the_average_between_rollouts(summary):
    assert summary.spread["error"] == pytest.approx((60.0 - 25.0) / math.sqrt(2.0))
    assert summary.clips[0].spread["error"] == pytest.approx(10.0 / math.sqrt(2.0))


def test_an_average_without_any_value_is_nan(summary):
    assert math.isnan(summary.average["effort"])
    assert math.isnan(summary.average_by_frame["effort"])


def test_clips_are_ordered_by_failures_and_then_by_distance(summary):
    short, long = summary.clips
    other = type(short)("other", 100, 0.0, {"error": 16.0}, {})
    assert [clip.clip for clip in worst_first([short, other, long], "error")] == ["long", "other", "short"]


def test_a_report_without_success_metric_does_not_claim_that_no_clip_failed():
    def text(judges):
        summary = MetricSummary({}, {}, {}, {}, {}, [ClipMetrics("walk", 10, 0.0, {}, {})])
        on = {"seed": 0, "scored_by": "clips", "randomizations": [], "switched_off": [], "action_delay_substeps": 0}
        on |= {"observation_noise": False, "start_noise": 0.0, "terminations": []}
        console = Console(file=StringIO())
        ClipReport("run", "run/1", "teacher", 1, 1, on, {}, summary, {}, "", judges).show(console)
        return console.file.getvalue()

    assert "clips with failures: none" in text(["success_body"])
    assert "failures: not judged" in text([])
    assert "clips with failures" not in text([])
