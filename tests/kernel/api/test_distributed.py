"""Two processes under torchrun train one agent, resume together and fail together."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mtrack_log.jsonl import read_jsonl

SETTINGS = ["--set", "num_envs=8", "--set", "run.checkpoint_every=2", "--set", "run.keep=5"]
FRAMES = f"phases.train.frames={4 * 8 * 2 * 16}"  # 4 iterations of two processes
RAISES_ON_SECOND = """
import sys
from mtrack.cli import main
from mtrack_ppo.train import Train
from mtrack import rank

learn = Train.update

def update(self, rollout, progress):
    if rank() == 1 and progress > 0.6:
        raise ArithmeticError("the second process failed")
    return learn(self, rollout, progress)

Train.update = update
main(sys.argv[1:])
"""


def two(program: list[str], *arguments: object) -> subprocess.CompletedProcess[str]:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *program]
    return subprocess.run([*torchrun, *map(str, arguments)], capture_output=True, text=True, timeout=170, check=False)


def agent(directory: Path, checkpoint: str) -> bytes:
    return (directory / "checkpoints" / checkpoint / "agent.safetensors").read_bytes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """Return a complete run of 4 iterations in two processes."""
    directory = tmp_path_factory.mktemp("ranks") / "whole"
    done = two(["-m", "mtrack"], "run", "toy", "--run-dir", directory, "--set", FRAMES, *SETTINGS)
    assert done.returncode == 0, done.stderr
    return directory


def test_processes_train_one_agent_in_different_environments(whole):
    second = whole / "ranks" / "1"
    assert agent(whole, "train-0000004") == agent(second, "train-0000004")
    env = [path / "checkpoints" / "train-0000004" / "env.safetensors" for path in (whole, second)]
    assert env[0].read_bytes() != env[1].read_bytes()


def test_frames_of_all_processes_count_and_only_rank_0_writes_metrics(whole):
    frames = [metrics.frames for metrics in read_jsonl(whole / "metrics.jsonl")]
    assert frames == [256, 512, 768, 1024]
    assert not (whole / "ranks" / "1" / "metrics.jsonl").exists()


def test_resume_continues_byte_for_byte_from_the_last_checkpoint_that_both_have(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "half")
    # as if the second process had crashed after iteration 2
    second = tmp_path / "half" / "ranks" / "1"
    (second / "checkpoints" / "train-0000004" / "agent.json").write_text("{}")
    done = two(["-m", "mtrack"], "run", "--resume", tmp_path / "half", "--allow-change")
    assert done.returncode == 0, done.stderr
    assert "starting from" in done.stderr
    assert "train-0000002" in done.stderr
    assert agent(tmp_path / "half", "train-0000004") == agent(whole, "train-0000004")


def test_a_failing_process_ends_the_run_soon_and_resume_gives_the_bytes_of_a_complete_run(whole, tmp_path):
    program = tmp_path / "failing.py"
    program.write_text(RAISES_ON_SECOND)
    began = time.monotonic()
    done = two([str(program)], "run", "toy", "--run-dir", tmp_path / "run", "--set", FRAMES, *SETTINGS)
    assert done.returncode != 0
    assert "ArithmeticError: the second process failed" in done.stderr
    assert f"once this is fixed: mtrack run --resume {tmp_path / 'run'}" in done.stderr
    assert time.monotonic() - began < 60.0  # including the start; it would otherwise hang
    assert two(["-m", "mtrack"], "run", "--resume", tmp_path / "run").returncode == 0
    for rank in ("", "ranks/1/"):
        for part in ("agent", "phase", "env"):
            file = f"{rank}checkpoints/train-0000004/{part}.safetensors"
            assert (tmp_path / "run" / file).read_bytes() == (whole / file).read_bytes()


def test_a_phase_ends_early_in_both_processes_together(tmp_path):
    until = [
        "--set",
        'phases.train.until.above."value/explained_variance"=-1e9',
        "--set",
        "phases.train.until.patience=700",
    ]
    done = two(["-m", "mtrack"], "run", "toy", "--run-dir", tmp_path / "run", "--set", FRAMES, *SETTINGS, *until)
    assert done.returncode == 0, done.stderr
    assert "phase 'train' ended after 768 of 1,024 frames" in done.stderr
    for directory in (tmp_path / "run", tmp_path / "run" / "ranks" / "1"):
        last = json.loads((directory / "checkpoints" / "train-0000003" / "manifest.json").read_text())
        assert (last["ended"], last["until"]["held_frames"]) == (True, 768)
