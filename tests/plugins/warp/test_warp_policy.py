"""A policy trained on one backend does as well on the other: on demand, with a run at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mtrack_eval.evaluated_run import Wishes
from mtrack_eval.evaluation import evaluate_run

pytest.importorskip("mujoco_warp", reason="needs the extra mtrack[gpu]")

RUN = os.environ.get("MTRACK_TRAINED_RUN", "")
TOLERANCE = 0.02


@pytest.mark.slow
@pytest.mark.skipif(
    not RUN, reason="give a run directory: MTRACK_TRAINED_RUN=runs/... pytest -m slow tests/plugins/warp"
)
def test_a_policy_succeeds_as_often_on_either_backend() -> None:
    found = {
        backend: evaluate_run(Path(RUN), Wishes(rollouts=8, overrides=(f"backend.use={backend}",)), with_figures=False)
        for backend in ("mujoco", "mujoco_warp")
    }
    averages = {backend: evaluation.policy.average for backend, evaluation in found.items()}
    for name in ("success_body", "success_height", "progress"):
        assert averages["mujoco"][name] == pytest.approx(averages["mujoco_warp"][name], abs=TOLERANCE), name
