"""Training waits for a GPU only once per control step and once per update."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.host_reads import HostReads

from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.registry.registry import Registry
from mtrack.run.phase_run import PhaseRun
from mtrack_bench.measure import TimedTraining
from mtrack_compliance import altered
from mtrack_ppo import normaliser

pytest.importorskip("mujoco_warp", reason="needs the extra mtrack[gpu]")

STEPS = 3
KEPT_ON_HOST = "mtrack_mujoco/engine_warnings.py"  # it reads a copy made in the step before


def test_a_step_and_an_update_wait_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(altered, "computes_all_envs", lambda device: True)  # as on a GPU
    monkeypatch.setattr(normaliser, "asks_first", lambda device: False)
    overrides = ["num_envs=4", "backend.use=mujoco_warp", "device=cpu", "phases.train.minibatches=2"]
    overrides += ["phases.train.compile=false"]  # a compiled loss would hide what it reads
    recipe = check_recipe(read_recipe("g1_tracking_teacher", overrides), Registry.scan()).for_phase("train")
    training = TimedTraining(
        PhaseRun.open(recipe, "train", tmp_path, recipe.agent.build(), "cpu", None, [], 0), "train", STEPS
    )
    training.iteration()  # looks at what later ones know
    with HostReads() as rollout:
        data = training.learner.collect()
    with HostReads() as update:
        training.learner.phase.update(data, 0.5)
    for found in (rollout.found, update.found):
        found.pop(KEPT_ON_HOST, None)
    phase = training.learner.phase
    draws = (
        phase.epochs + phase.estimator_epochs
    )  # orders of samples: on a GPU they are drawn there, so nothing is sent
    assert rollout.found == {"mtrack/loop/env.py": STEPS, "mtrack_ppo/phases.py": STEPS}  # noise is drawn there too
    assert update.found == {"mtrack_ppo/phases.py": 1, "mtrack_ppo/ppo.py": draws}
