"""A policy trained on one backend succeeds as often on the other; runs on demand, with a trained run."""

from __future__ import annotations

import os

import pytest

import mtrack_eval

pytest.importorskip("mujoco_warp", reason="needs the extra mtrack[gpu]")

RUN = os.environ.get("MTRACK_TRAINED_RUN", "")
TOLERANCE = 0.02


@pytest.mark.slow
@pytest.mark.skipif(
    not RUN, reason="needs a run directory: MTRACK_TRAINED_RUN=runs/... pytest -m slow tests/plugins/warp"
)
def test_a_policy_succeeds_as_often_on_either_backend() -> None:
    found = {
        backend: mtrack_eval.evaluate(RUN, rollouts=8, overrides=[f"backend.use={backend}"])
        for backend in ("mujoco", "mujoco_warp")
    }
    averages = {backend: report.metrics for backend, report in found.items()}
    for name in ("success_body", "success_height", "progress"):
        assert averages["mujoco"][name] == pytest.approx(averages["mujoco_warp"][name], abs=TOLERANCE), name
