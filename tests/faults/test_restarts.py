"""Runs in two processes end with the same bytes although processes and machines die at random moments."""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from torchruns import SETTINGS, children, frames, last_bytes, one_thread, ranks, torchrun, two

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
LAST = 12
RECIPE = ("toy", "--set", frames(LAST), *SETTINGS)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing disturbed."""
    directory = tmp_path_factory.mktemp("restarts") / "whole"
    done = two(["-m", "mtrack"], "run", *RECIPE, "--run-dir", directory)
    assert done.returncode == 0, done.stderr
    return directory


@pytest.mark.parametrize("trial", range(20))
def test_a_run_survives_a_process_killed_at_a_random_moment(whole: Path, tmp_path: Path, trial: int) -> None:
    """A third of the trials each have a directory of their own, choose it, or resume a run."""
    rng = random.Random(trial)
    if trial % 3 == 2:
        run = tmp_path / "run"
        shutil.copytree(whole, run)
        for checkpoint in [path for directory in ranks(run) for path in (directory / "checkpoints").iterdir()]:
            if int(checkpoint.name[-7:]) > 6:
                shutil.rmtree(checkpoint)
        arguments = ["--resume", str(run)]
    else:
        arguments = [*RECIPE, *(["--run-dir", str(tmp_path / "run")] if trial % 3 else [])]
    command = torchrun(
        "--standalone", "--nproc-per-node", "2", "--max-restarts", "2", "-m", "mtrack", "run", *arguments
    )
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as launcher:
        while not children(launcher.pid):
            time.sleep(0.05)
        time.sleep(rng.uniform(0.0, 20.0))
        with contextlib.suppress(ProcessLookupError, IndexError):  # it has finished already
            os.kill(rng.choice(children(launcher.pid)), signal.SIGKILL)
        _, errors = launcher.communicate(timeout=900)
    assert launcher.returncode == 0, errors
    (found,) = [*tmp_path.glob("run"), *tmp_path.glob("runs/*")]
    assert last_bytes(found, LAST) == last_bytes(whole, LAST)


def test_two_torchruns_give_the_bytes_of_one_with_two_processes(whole: Path, tmp_path: Path) -> None:
    with two_machines(tmp_path, free_port(), restarts=0) as launchers:
        assert [launcher.wait(900) for launcher in launchers] == [0, 0]
    assert last_bytes(tmp_path / "run", LAST) == last_bytes(whole, LAST)


def test_the_run_ends_soon_after_a_machine_has_died(tmp_path: Path) -> None:
    with two_machines(tmp_path, free_port(), restarts=0) as (first, second):
        wait_for_checkpoint(tmp_path / "run")
        kill_machine(second)
        died = time.monotonic()
        assert first.wait(900) == 1
        assert time.monotonic() - died < 30.0
    errors = (tmp_path / "0.log").read_text()
    assert re.search(r"mtrack: rank 0 waited in vain: rank 1 \(process \d+ on .*\) was killed", errors)


def test_the_run_continues_when_a_machine_that_died_comes_back(whole: Path, tmp_path: Path) -> None:
    port = free_port()
    with two_machines(tmp_path, port, restarts=2) as (first, second):
        wait_for_checkpoint(tmp_path / "run")
        kill_machine(second)
        with machine(tmp_path, 2, port, restarts=2) as third:
            assert [first.wait(900), third.wait(900)] == [0, 0]
    assert "torchrun has restarted this run: it continues" in (tmp_path / "0.log").read_text()
    assert last_bytes(tmp_path / "run", LAST) == last_bytes(whole, LAST)


@contextlib.contextmanager
def machine(folder: Path, number: int, port: int, restarts: int) -> Iterator[subprocess.Popen[bytes]]:
    """Start one torchrun of two, each with one process."""
    options = ("--nnodes", "2", "--nproc-per-node", "1", "--max-restarts", str(restarts), "--rdzv-id", str(port))
    meeting = ("--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{port}")
    command = [*torchrun(*options, *meeting), "-m", "mtrack", "run", *RECIPE, "--run-dir", str(folder / "run")]
    unshared = {**one_thread(), "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}  # see docs/clusters.md
    with (folder / f"{number}.log").open("wb") as log, subprocess.Popen(command, stderr=log, env=unshared) as launcher:
        try:
            yield launcher
        finally:
            launcher.terminate()


@contextlib.contextmanager
def two_machines(folder: Path, port: int, restarts: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    with machine(folder, 0, port, restarts) as first:
        time.sleep(3.0)  # so that the first one is the host of the meeting, and has rank 0
        with machine(folder, 1, port, restarts) as second:
            yield [first, second]


def kill_machine(launcher: subprocess.Popen[bytes]) -> None:
    for pid in (launcher.pid, *children(launcher.pid)):
        os.kill(pid, signal.SIGKILL)


def wait_for_checkpoint(run: Path) -> None:
    while not all((directory / "checkpoints" / "train-0000004").exists() for directory in ranks(run)):
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
