"""Two processes under torchrun train one agent, resume together, fail together and continue after a restart."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torchruns import ITERATIONS, SETTINGS, frames, last_bytes, ranks, two
from toy_runs import mtrack

from mtrack_log.jsonl import read_jsonl

FRAMES = frames(ITERATIONS)
FAILS_ON_SECOND = """
import os, signal, sys, time
from mtrack.cli import main
from mtrack_ppo.train import Train
from mtrack import rank

learn = Train.update

def fail():
    {fault}

def update(self, rollout, progress):
    if rank() == 1 and progress > 0.6 and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
        print("fails at", time.time(), file=sys.stderr, flush=True)
        fail()
    return learn(self, rollout, progress)

Train.update = update
main(sys.argv[1:])
"""


def failing_on_second(folder: Path, fault: str) -> list[str]:
    """Return a program that is mtrack with a fault in the last iteration of the second process, at its first start."""
    program = folder / "failing.py"
    program.write_text(FAILS_ON_SECOND.format(fault=fault))
    return [str(program)]


def seconds_from_fault(output: str, ended: float) -> float:
    """Return how long after its fault a run ended; this does not include its start."""
    return ended - float(re.search(r"fails at (.*)", output)[1])


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
    counted = [metrics.frames for metrics in read_jsonl(whole / "metrics.jsonl")]
    assert counted == [256, 512, 768, 1024]
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
    program = failing_on_second(tmp_path, 'raise ArithmeticError("the second process failed")')
    done = two(program, "run", "toy", "--run-dir", tmp_path / "run", "--set", FRAMES, *SETTINGS)
    ended = time.time()
    assert done.returncode != 0
    assert "ArithmeticError: the second process failed" in done.stderr
    assert f"fixed: torchrun --standalone --nproc-per-node 2 -m mtrack run --resume {tmp_path / 'run'}" in done.stderr
    assert "mtrack: rank 0 stops, because rank 1 failed: look at its output" in done.stderr
    assert seconds_from_fault(done.stderr, ended) < 25.0
    assert two(["-m", "mtrack"], "run", "--resume", tmp_path / "run").returncode == 0
    assert last_bytes(tmp_path / "run") == last_bytes(whole)


def test_a_killed_process_is_restarted_by_torchrun_and_the_run_continues_in_its_directory(whole, tmp_path):
    program = failing_on_second(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)")
    done = two(program, "run", "toy", "--set", FRAMES, *SETTINGS, options=("--max-restarts", "1"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (run,) = (tmp_path / "runs").iterdir()
    assert re.search(r"rank 0 waited in vain: rank 1 \(process \d+ on .*\) was killed", done.stderr)
    assert f"torchrun has restarted this run: it continues in {run}" in done.stderr
    assert last_bytes(run) == last_bytes(whole)
    again = two(["-m", "mtrack"], "run", "toy", "--run-dir", run, "--set", FRAMES, *SETTINGS)
    assert again.returncode != 0, "another torchrun does not continue it"
    assert f"{run} already holds a run: resume it" in again.stderr


def test_a_process_that_hangs_is_named_and_ended(tmp_path):
    program = failing_on_second(tmp_path, "os.kill(os.getpid(), signal.SIGSTOP)")
    patient = {**os.environ, "MTRACK_COLLECTIVE_TIMEOUT": "2"}
    done = two(program, "run", "toy", "--run-dir", tmp_path / "run", "--set", FRAMES, *SETTINGS, env=patient)
    ended = time.time()
    assert re.search(r"mtrack: rank 0 waited in vain: rank 1 \(process \d+ on .*\) did not arrive", done.stderr)
    assert "(iteration 2 of phase 'train')\n  once this is fixed: torchrun" in done.stderr
    assert seconds_from_fault(done.stderr, ended) < 25.0, "torchrun waits 30 s for a hanging process"


def test_a_run_continues_with_fewer_and_with_more_processes(whole, tmp_path, caplog):
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    for directory in ranks(run):
        shutil.rmtree(directory / "checkpoints" / "train-0000004")
    assert mtrack("run", "--resume", run) == 0
    assert "2 processes made it, and 1 continues. All environments start again. Agent, optimisers" in caplog.text
    shutil.rmtree(run / "checkpoints" / "train-0000006")
    done = two(["-m", "mtrack"], "run", "--resume", run)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("1 process made it, and 2 continue. All environments start again.") == 1
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["frames"] for line in lines] == [256, 512, 640, 768, 1024]
    assert [line["iterations"] for line in lines] == [4, 4, 6, 6, 5]
    assert agent(run, "train-0000005") == agent(run / "ranks" / "1", "train-0000005")
    noise = [load_file(path / "checkpoints/train-0000005/phase.safetensors")["phase.rng"] for path in ranks(run)]
    assert not torch.equal(*noise), "otherwise both processes draw the same actions"


@pytest.mark.parametrize("value", ["soon", "-3", "0", "nan", "inf", ""])
def test_a_timeout_that_is_not_a_number_of_seconds_is_explained(value, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("MTRACK_COLLECTIVE_TIMEOUT", value)
    assert mtrack("run", "toy", "--run-dir", tmp_path / "run") == 2
    assert f"MTRACK_COLLECTIVE_TIMEOUT={value}: must be a number of seconds greater than 0" in capsys.readouterr().err


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
