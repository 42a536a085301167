"""`mtrack deploy-check`: states recorded elsewhere are scored as an evaluation scores its own."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import numpy as np
import pytest
import torch
from support.command_line import exit_status
from support.exported import exported_policy

from mtrack import StartState
from mtrack.registry.registry import Registry
from mtrack_eval.evaluated_run import EvalOptions, open_run
from mtrack_eval.rollouts import prepare
from mtrack_export.deploy_check import ClipComparison, DeployCheck


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported_policy(tmp_path_factory).parent / "run"


def test_recorded_states_get_the_scores_of_the_simulation_that_recorded_them(run: Path) -> None:
    arena = prepare(open_run(run, EvalOptions(rollouts=2, noise=True), Registry.scan()), 2)
    states: list[StartState] = []
    fields = ("root_pos", "root_quat_wxyz", "root_lin_vel", "root_ang_vel", "joint_pos", "joint_vel")
    add = arena.scorer.__class__.__call__

    def keep(scene) -> None:
        robot = scene.robot
        states.append(StartState(**{name: getattr(robot, name).clone() for name in fields}))

    begin = arena.scorer.begin
    arena.scorer.begin = lambda scene, lengths: (keep(scene), begin(scene, lengths))  # type: ignore[method-assign]

    class Keeping:
        def __call__(self, scene) -> torch.Tensor:
            keep(scene)
            return add(arena.scorer, scene)

    arena.env.rewards[:] = [attrs.evolve(arena.env.rewards[0], component=Keeping())]
    simulated = arena.policy()
    again = prepare(open_run(run, EvalOptions(rollouts=2, noise=True), Registry.scan()), 2)
    recorded = again.recorded(states, [0, 1])
    assert len(states) == 50, "the start and 49 steps of the longer clip"
    for name in ("mpkpe_local", "mpkpe_world", "joint_error", "progress", "success_body"):
        assert torch.allclose(recorded.values[name], simulated.values[name], atol=1e-4, equal_nan=True), name
    assert simulated.values["mpkpe_world"].std() > 0.0
    assert torch.equal(recorded.failed, simulated.failed)


def test_the_command_compares_and_writes_its_result(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    status = exit_status("deploy-check", str(run), "-o", str(out), "--rollouts", "2", "--clip", "sway30", "--json")
    result = json.loads(capsys.readouterr().out)
    (clip,) = result["clips"]
    assert clip["clip"] == "sway30"
    assert clip["deploy_error"] == pytest.approx(clip["eval_error"], rel=0.2), "both fall alike"
    assert status == (1 if result["problems"] else 0)
    proof = json.loads((out / "policy.json").read_text("utf-8"))["proof"]
    assert proof["deploy_check"]["clips"][0]["deploy_error"] == clip["deploy_error"]


def comparison(**changes: float) -> DeployCheck:
    values = {"eval_success": 1.0, "deploy_success": 1.0, "eval_error": 5.0, "deploy_error": 5.4, "standing": 1.0}
    clip = ClipComparison(clip="walk", **(values | changes))
    return DeployCheck(clips=[clip], rollouts=20, limited={}, stops=[])


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, ""),
        ({"deploy_error": 5.6}, "the error is 1.12 times that of `mtrack eval`"),
        ({"deploy_error": 4.4}, "the error is 0.88 times that of `mtrack eval`"),
        ({"deploy_success": 0.85}, "walk: success 85%, but 100% in training"),
        ({"standing": 0.9}, "walk: only 90% of those that tracked it stand after its end"),
        ({"eval_success": 0.5, "deploy_success": 0.6, "standing": 0.95}, ""),
        ({"eval_success": 0.0, "deploy_success": 0.0, "standing": np.nan}, ""),
        ({"deploy_error": np.nan}, "the error is nan times"),
    ],
)
def test_what_a_check_reports(changes: dict[str, float], problem: str) -> None:
    found = comparison(**changes).problems
    assert found == [] if not problem else [found[0]] == found and problem in found[0]
