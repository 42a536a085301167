"""Runs of several phases on the toy task: in sequence, resumed at any checkpoint, and started from another run."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mtrack.cli import main
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.registry.registry import Registry
from mtrack.run.checkpoint import newest
from mtrack_log.jsonl import read_jsonl

RECIPES = Path(__file__).parents[3] / "recipes"
EVERY_PHASE = f"""
extends = "{RECIPES / "toy.toml"}"
num_envs = 16
[run]
checkpoint_every = 1
keep = 100
[phases.train]
frames = 512
[phases.adapt]
frames = 1280
train_every = 8
minibatches = 2
set = {{ "rewards.toy.closeness.sigma" = 0.4 }}
[phases.finetune]
frames = 640
train_every = 8
minibatches = 2
"""
NO_TEACHING = ("--set", "phases.train.enabled=false")


def mtrack(*arguments: object) -> int:
    """Run a command in this process and return its exit status."""
    threads = torch.get_num_threads()
    try:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
    finally:
        torch.set_num_threads(threads)
    return int(ended.value.code or 0)


def rejected(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Return the message of a command that fails with a mistake of the user."""
    assert mtrack(*arguments) == 2
    return capsys.readouterr().err


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("recipes") / "every_phase.toml"
    file.write_text(EVERY_PHASE)
    return file


@pytest.fixture(scope="module")
def whole(recipe, tmp_path_factory) -> Path:
    """2 iterations of `train`, 10 of `adapt`, 5 of `finetune`, uninterrupted."""
    directory = tmp_path_factory.mktemp("runs") / "whole"
    assert mtrack("run", recipe, "--run-dir", directory) == 0
    return directory


def agent_of(directory: Path, name: str) -> dict:
    return load_file(directory / "checkpoints" / name / "agent.safetensors")


def test_a_run_trains_all_phases_in_order(whole):
    metrics = read_jsonl(whole / "metrics.jsonl")
    assert [(m.phase, m.iteration) for m in metrics] == [
        *(("train", i + 1) for i in range(2)),
        *(("adapt", i + 1) for i in range(10)),
        *(("finetune", i + 1) for i in range(5)),
    ]
    assert metrics[-1].frames == 512 + 1280 + 640
    assert {"loss/estimator", "adapt/explained_variance"} <= set(metrics[5].values)
    assert "policy/kl" in metrics[-1].values
    manifest = json.loads((whole / "checkpoints" / "adapt-0000010" / "manifest.json").read_text())
    assert (manifest["phase_history"], manifest["ended"]) == (["train", "adapt"], True)


def test_the_student_starts_as_a_copy_of_the_teacher_and_only_finetune_changes_it(whole):
    taught, adapted, tuned = (agent_of(whole, name) for name in ("train-0000002", "adapt-0000010", "finetune-0000005"))
    for name, student in adapted.items():
        if name.startswith("agent.actor_student"):
            assert student.equal(taught[name.replace("student", "teacher")])
        elif not name.startswith("agent.adapt_module"):
            assert student.equal(taught[name]), name
    assert not adapted["agent.adapt_module.head.weight"].equal(taught["agent.adapt_module.head.weight"])
    changed = {name.split(".")[1] for name in tuned if not tuned[name].equal(adapted[name])}
    assert changed == {"actor_student", "critic"}


@pytest.mark.parametrize("checkpoint", ["adapt-0000005", "train-0000002", "finetune-0000002"])
def test_a_run_stopped_in_or_between_phases_resumes_byte_for_byte(whole, tmp_path, checkpoint):
    directory = tmp_path / "stopped"
    shutil.copytree(whole, directory)
    order = ("train", "adapt", "finetune")
    for path in (directory / "checkpoints").iterdir():
        phase, iteration = path.name.split("-")
        if (order.index(phase), iteration) > (order.index(checkpoint.split("-")[0]), checkpoint.split("-")[1]):
            shutil.rmtree(path)
    command = [sys.executable, "-m", "mtrack", "run", "--resume", str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert [m.values for m in read_jsonl(directory / "metrics.jsonl")] == [
        m.values for m in read_jsonl(whole / "metrics.jsonl")
    ]
    for name in ("adapt-0000010", "finetune-0000005"):
        for path in (whole / "checkpoints" / name).iterdir():
            if path.name != "manifest.json":
                assert path.read_bytes() == (directory / "checkpoints" / name / path.name).read_bytes(), path


def test_a_single_phase_can_start_with_the_agent_of_a_run(whole, recipe, tmp_path):
    directory = tmp_path / "adapt"
    teacher = whole / "checkpoints" / "train-0000002"
    alone = [*NO_TEACHING, "--set", "phases.finetune.enabled=false"]
    assert mtrack("run", recipe, "--run-dir", directory, "--from", teacher, *alone) == 0
    metrics = read_jsonl(directory / "metrics.jsonl")
    assert [m.phase for m in metrics] == ["adapt"] * 10
    assert metrics[-1].frames == 1280, "frames of this run, not of the run that it starts from"
    copied = agent_of(directory, "adapt-0000010")["agent.actor_student.mean.head.weight"]
    assert copied.equal(agent_of(whole, "train-0000002")["agent.actor_teacher.mean.head.weight"])


def test_a_checkpoint_records_all_phases_that_trained_its_agent_across_runs(whole, recipe, tmp_path):
    only = [*NO_TEACHING, "--set", "phases.adapt.enabled=false", "--set", "phases.finetune.frames=128"]
    adapted, first, second = whole / "checkpoints" / "adapt-0000010", tmp_path / "first", tmp_path / "second"
    assert mtrack("run", recipe, "--run-dir", first, "--from", adapted, *only) == 0
    assert mtrack("run", recipe, "--run-dir", second, "--from", first, *only) == 0
    assert newest(first)[0].phase_history == ["train", "adapt", "finetune"]
    assert newest(second)[0].phase_history == ["train", "adapt", "finetune", "finetune"]


@pytest.mark.parametrize(
    ("skipped", "is_from_run", "message"),
    [
        ("adapt", False, "phase 'finetune' must follow 'adapt' or 'finetune', but it follows 'train'"),
        ("train", False, "phase 'adapt' must follow 'train' or 'adapt' or 'finetune', but it is first"),
        ("adapt", True, "phase 'train' must be first or follow 'train', but it follows 'finetune'"),
    ],
)
def test_an_invalid_order_of_phases_is_rejected_at_once(whole, recipe, tmp_path, capsys, skipped, is_from_run, message):
    start = ["--from", whole] if is_from_run else []
    arguments = ["--run-dir", tmp_path / "run", "--set", f"phases.{skipped}.enabled=false", *start]
    assert message in rejected(capsys, "run", recipe, *arguments)
    assert not (tmp_path / "run" / "recipe.toml").exists(), "the directory can be used again"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("observations.policy.joint_pos.history=[0, 1]", "observations.policy: 4 columns -> 6 columns"),
        ("agent.actor_hidden=[16]", "agent.actor_hidden: [32] -> [16]"),
    ],
)
def test_an_agent_of_other_widths_is_rejected_with_the_reason(whole, recipe, tmp_path, capsys, change, message):
    arguments = ["--run-dir", tmp_path / "run", "--from", whole, *NO_TEACHING, "--set", change]
    assert message in rejected(capsys, "run", recipe, *arguments)


def test_a_checkpoint_of_a_missing_phase_is_rejected(whole, tmp_path, capsys):
    directory = tmp_path / "run"
    shutil.copytree(whole, directory)
    arguments = ["--allow-change", "--set", "phases.finetune.enabled=false"]
    assert "was made in phase 'finetune'" in rejected(capsys, "run", "--resume", directory, *arguments)


@pytest.mark.parametrize(
    ("name", "phases"),
    [
        ("g1_tracking", {"train": 8e9, "adapt": 1e9, "finetune": 4e9}),
        ("g1_tracking_adapt", {"adapt": 1e9}),
        ("g1_tracking_finetune", {"finetune": 4e9}),
    ],
)
def test_in_our_recipes_the_student_has_a_sliding_target_and_full_delays(name, phases):
    recipe = check_recipe(read_recipe(str(RECIPES / f"{name}.toml"), []), Registry.scan())
    assert {phase: slot.frames for phase, slot in recipe.phases.items()} == phases
    for phase in phases:
        now, is_student = recipe.for_phase(phase), phase != "train"
        assert now.command.params["root_target"] == ("sliding" if is_student else "absolute")
        assert now.action.params["delay_schedule"] == ("full" if is_student else "progress")
        assert now.rewards["loco"]["joint_acc_l2"].weight == (2e-7 if phase == "finetune" else 2e-8)
        assert now.reward_scale("loco").at(0.0) == (1.0 if is_student else 0.5)
