"""Runs of the toy task through the command line: learning, resuming byte for byte, stopping, failing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from mtrack_log.jsonl import read_jsonl

SMALL = ["--set", "num_envs=16", "--set", "run.checkpoint_every=5"]


def mtrack(*arguments: object, **more) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from mtrack.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, **more)


def run_toy(directory: Path, iterations: int, *more: object) -> subprocess.CompletedProcess[str]:
    return mtrack(
        "run", "toy", "--run-dir", directory, "--set", f"phases.train.frames={iterations * 256}", *SMALL, *more
    )


def values_of(directory: Path) -> list[dict]:
    return [dict(metrics.values) for metrics in read_jsonl(directory / "metrics.jsonl")]


def newest(directory: Path) -> Path:
    return max((directory / "checkpoints").iterdir())


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """Return an uninterrupted run of 10 iterations."""
    directory = tmp_path_factory.mktemp("runs") / "whole"
    done = run_toy(directory, 10)
    assert done.returncode == 0, done.stderr
    return directory


def test_a_run_directory_contains_recipe_manifest_metrics_and_checkpoints(whole):
    names = {path.name for path in whole.iterdir()}
    assert {"recipe.toml", "manifest.json", "metrics.jsonl", "checkpoints"} <= names
    manifest = json.loads((whole / "manifest.json").read_text())
    assert manifest["components"]["rewards.toy.closeness"].startswith("mtrack:toy_closeness==")
    assert len(values_of(whole)) == 10


def test_the_same_seed_gives_the_same_metrics_and_the_same_bytes(whole, tmp_path):
    assert run_toy(tmp_path / "again", 10).returncode == 0
    assert values_of(tmp_path / "again") == values_of(whole)
    for path in newest(whole).glob("*.safetensors"):
        assert path.read_bytes() == (newest(tmp_path / "again") / path.name).read_bytes()


def test_another_seed_gives_other_numbers(whole, tmp_path):
    assert run_toy(tmp_path / "other", 10, "--seed", 7).returncode == 0
    assert values_of(tmp_path / "other") != values_of(whole)


def test_resume_reproduces_an_uninterrupted_run(whole, tmp_path):
    directory = tmp_path / "stopped"
    shutil.copytree(whole, directory)
    for path in (directory / "checkpoints").iterdir():
        if "0000005" not in path.name:
            for file in path.iterdir():
                file.unlink()
            path.rmdir()
    done = mtrack("run", "--resume", directory)
    assert done.returncode == 0, done.stderr
    assert values_of(directory) == values_of(whole)
    for path in newest(whole).iterdir():
        if path.name != "manifest.json":
            assert path.read_bytes() == (newest(directory) / path.name).read_bytes(), path.name


def test_resuming_with_another_recipe_stops_and_says_what_differs(whole):
    done = mtrack("run", "--resume", whole, "--set", "rewards.toy.closeness.sigma=0.4")
    assert done.returncode == 2
    assert "rewards.toy.closeness.sigma: 0.5 -> 0.4" in done.stderr
    assert "--allow-change" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_directory_that_contains_a_run_is_not_overwritten(whole):
    done = run_toy(whole, 10)
    assert done.returncode == 2
    assert "--resume" in done.stderr


def test_from_starts_with_the_agent_of_another_run(whole, tmp_path):
    done = run_toy(tmp_path / "next", 1, "--from", whole)
    assert done.returncode == 0, done.stderr
    before, after = (load_file(newest(d) / "agent.safetensors") for d in (whole, tmp_path / "next"))
    count = "agent.normalisers.policy.count"
    assert after[count] > before[count] > 0


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_run_cleanly_with_a_checkpoint(tmp_path, number, status):
    directory = tmp_path / "run"
    command = [sys.executable, "-c", "from mtrack.cli import main; main()", "run", "toy", "--run-dir", str(directory)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    wait_for(lambda: (directory / "metrics.jsonl").exists() and (directory / "metrics.jsonl").stat().st_size > 0)
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == status
    assert b"Traceback" not in errors
    iterations = len(values_of(directory))
    assert newest(directory).name.endswith(f"{iterations:07d}")
    assert mtrack("run", "--resume", directory, "--set", "phases.train.frames=1024", "--allow-change").returncode == 0


def test_a_second_run_in_the_same_directory_is_rejected(tmp_path):
    directory = tmp_path / "run"
    command = [sys.executable, "-c", "from mtrack.cli import main; main()", "run", "toy", "--run-dir", str(directory)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: (directory / ".lock.json").exists() and (directory / "metrics.jsonl").exists())
        done = mtrack("run", "--resume", directory)
        assert done.returncode == 2
        assert str(process.pid) in done.stderr
    finally:
        process.terminate()
        process.wait(timeout=30)


def test_a_component_that_raises_is_named_and_the_last_checkpoint_is_kept(tmp_path):
    code = (
        "import mtrack_toy.task as t\n"
        "from mtrack import is_trial\n"
        "inner = t.ToyCloseness.__call__\n"
        "class Failing:\n"
        "    calls = 0\n"
        "    def __call__(self, scene):\n"
        "        Failing.calls += not is_trial()\n"
        "        if Failing.calls > 110: raise ValueError('no more')\n"
        "        return inner(self, scene)\n"
        "t.ToyCloseness.__call__ = Failing.__call__\n"
        "from mtrack.cli import main; main()"
    )
    directory = tmp_path / "run"
    command = [sys.executable, "-c", code, "run", "toy", "--run-dir", str(directory), *SMALL]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "reward 'toy_closeness' (mtrack " in done.stderr
    assert "no more" in done.stderr
    assert f"mtrack run --resume {directory}" in done.stderr.splitlines()[-1]
    assert newest(directory).name == "train-0000005"
    assert mtrack("run", "--resume", directory, "--set", "phases.train.frames=2560", "--allow-change").returncode == 0


def test_an_unwritable_directory_is_reported_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    done = run_toy(tmp_path / "file" / "run", 1)
    assert done.returncode == 2
    assert "cannot write" in done.stderr


def test_missing_and_contradictory_arguments_are_explained():
    assert mtrack("run").returncode == 2
    assert mtrack("run", "toy", "--resume", "runs/x").returncode == 2
    done = mtrack("run", "--resume", os.devnull + "/nothing")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_the_toy_recipe_reaches_nine_tenths_of_its_optimum(tmp_path):
    done = mtrack("run", "toy", "--run-dir", tmp_path / "run", "--set", "phases.train.frames=100000")
    assert done.returncode == 0, done.stderr
    last = [values["reward_raw/toy/closeness"] for values in values_of(tmp_path / "run")][-10:]
    assert sum(last) / len(last) >= 0.9


def wait_for(condition, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"the condition was not met within {seconds} s"
        time.sleep(0.05)
