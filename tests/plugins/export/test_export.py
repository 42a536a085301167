"""`mtrack export`: what it writes, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from support.command_line import exit_status
from support.untrained_run import make_run, save_checkpoint

from mtrack import MtrackError, RecipeError, load_policy
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.registry.registry import Registry
from mtrack_deploy import Policy
from mtrack_export import network
from mtrack_export.folder import ExportOptions, export_policy

TINY = [f"agent.{name}=[16]" for name in ("actor_hidden", "critic_hidden", "encoder_hidden", "adapt_hidden")]


def tiny_run(folder: Path, *changes: str, phase: str = "finetune") -> Path:
    return make_run(folder, *TINY, "agent.feature_width=8", *changes, phase=phase, clips=(12,))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_run(tmp_path_factory.mktemp("export") / "run", "observations.policy.joint_pos.noise=0.02")


@pytest.fixture(scope="module")
def folder(run: Path) -> Path:
    assert exit_status("export", str(run)) == 0
    return run / "export"


def test_the_network_is_one_file_that_computes_what_torch_does(run: Path, folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [
        "golden_trace.npz",
        "policy.json",
        "policy.onnx",
        "robot.xml",
    ]
    policy, ours = load_policy(run), Policy.load(folder)
    generator = torch.Generator().manual_seed(1)
    for scale in (0.1, 1.0, 30.0):  # the last is clipped by the normaliser
        observations = {
            name: scale * torch.randn(1, width, generator=generator) for name, width in policy.observations.items()
        }
        wanted = policy(observations)[0].numpy()
        found = ours(observations["policy"][0].numpy())
        assert np.abs(found - wanted).max() < 1e-5
        assert np.abs(wanted).max() > 1e-4


def test_the_folder_has_no_paths_of_this_machine(run: Path, folder: Path) -> None:
    for path in folder.iterdir():
        data = path.read_bytes()
        assert str(run.parent).encode() not in data
        assert str(Path.home()).encode() + b"/" not in data
        assert b"site-packages" not in data
    assert all(not node.metadata_props for node in onnx.load(folder / "policy.onnx").graph.node)


def test_the_contract_describes_the_trained_task(folder: Path) -> None:
    contract = json.loads((folder / "policy.json").read_text("utf-8"))
    terms = {term["name"]: term for term in contract["observation"]["terms"]}
    assert terms["joint_pos"]["noise_in_training"] == 0.02
    assert terms["joint_pos"]["history_offsets"] == [0, 1, 2, 3, 4, 8]
    assert terms["joint_pos"]["width"] == 6 * 29
    assert terms["projected_gravity"]["sensors"] == ["imu"]
    assert contract["action"]["mode"] == "reference_residual"
    assert contract["action"]["expected_delay_s"] == [0.0, 0.0]
    assert contract["timing"] == {"control_dt": 0.02, "physics_dt": 0.005, "decimation": 4}
    knee = contract["robot"]["joints"][3]
    assert knee["name"] == "left_knee_joint"
    assert knee["stiffness"] == pytest.approx(99.098, abs=1e-3)
    assert knee["armature"] == pytest.approx(0.025101925)
    assert contract["robot"]["total_mass_kg"] == pytest.approx(33.3, abs=0.2)
    assert contract["proof"]["torch_vs_onnx"] < 1e-5
    assert max(contract["proof"]["golden_trace"].values()) < 1.0


def refused(run: Path, out: Path, options: ExportOptions | None = None) -> str:
    with pytest.raises(MtrackError) as caught:
        export_policy(run, out, options or ExportOptions())
    assert not out.exists(), "nothing is written"
    assert not list(out.parent.glob(f".{out.name}-*"))
    return str(caught.value)


def test_the_teacher_is_refused_because_it_reads_what_no_robot_senses(run: Path, tmp_path: Path) -> None:
    message = refused(run, tmp_path / "out", ExportOptions(actor="teacher"))
    assert "'teacher' reads more than the observation group 'policy'" in message
    assert "--actor student" in message


def test_a_term_without_a_sensor_is_refused_with_its_line(tmp_path: Path) -> None:
    run = tiny_run(tmp_path / "run", "observations.policy.body_height.use='body_height'")
    with pytest.raises(RecipeError) as caught:
        export_policy(run, tmp_path / "out", ExportOptions())
    paths = {problem.path for problem in caught.value.problems}
    assert paths == {"observations.policy.body_height"}
    lines = (run / "recipe.toml").read_text("utf-8").splitlines()
    assert all("body_height" in lines[problem.line - 1] for problem in caught.value.problems)
    assert any("the robot has no root_position" in problem.message for problem in caught.value.problems)
    assert any("it has no robot_term()" in problem.message for problem in caught.value.problems)


def small_network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ELU(), torch.nn.Linear(4, 2))


def test_a_weight_that_is_not_finite_is_refused() -> None:
    module = small_network()
    with torch.no_grad():
        module[0].weight[0, 0] = torch.nan
    with pytest.raises(MtrackError, match=r"not finite \('.*weight'\): export an older checkpoint"):
        network.to_onnx(module, 3)


def test_a_network_that_differs_from_torch_is_refused() -> None:
    module = small_network()
    model, observations = network.to_onnx(module, 3), torch.randn(10, 3)
    assert network.largest_difference(model, module, observations) < 1e-6
    with torch.no_grad():
        module[2].bias += 1e-4
    with pytest.raises(MtrackError, match="differs from torch by"):
        network.largest_difference(model, module, observations)


def test_a_folder_with_other_things_is_not_overwritten(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x", "utf-8")
    assert exit_status("export", str(run), "-o", str(tmp_path / "mine")) == 2
    assert "mtrack did not export it" in capsys.readouterr().err
    (tmp_path / "mine" / "policy.json").write_text('{"schema": "of another program"}', "utf-8")
    assert exit_status("export", str(run), "-o", str(tmp_path / "mine")) == 2
    assert (tmp_path / "mine" / "thesis.tex").exists()


def test_a_component_that_says_nothing_about_robots_is_refused(tmp_path: Path) -> None:
    terms = tmp_path / "terms.py"
    terms.write_text(
        "from mtrack import Mirror, Scene\n\n"
        "def observation_of_mine(scene: Scene):\n    return scene.robot.projected_gravity\n",
        "utf-8",
    )
    run = tiny_run(tmp_path / "run")
    registry = Registry.scan(files=[str(terms)])
    changes = ["observations.policy.mine.use='observation_of_mine'", "agent.symmetric=false"]
    recipe = check_recipe(read_recipe(run / "recipe.toml", changes), registry)
    (run / "recipe.toml").write_text(recipe.resolved_toml(), "utf-8")
    save_checkpoint(run, recipe, "finetune", iteration=2)
    assert "it has no robot_term()" in refused(run, tmp_path / "out", ExportOptions(files=[str(terms)]))
