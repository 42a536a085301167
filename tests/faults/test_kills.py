"""A run that SIGKILL ends again and again, also inside a save, equals an uninterrupted one; see benchmarks/chaos.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CHAOS = Path(__file__).resolve().parents[2] / "benchmarks" / "chaos.py"

SETTINGS = ("num_envs=4", "phases.train.train_every=4", "phases.train.epochs=1", "phases.train.frames=400")
SHORT = " ".join(f"--set {setting}" for setting in (*SETTINGS, "run.checkpoint_every=1"))


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(f"--kills 1 {SHORT}", id="1"),
        pytest.param("--kills 100", id="100", marks=[pytest.mark.slow, pytest.mark.timeout(7200)]),
    ],
)
def test_killed_and_resumed_runs_have_the_bytes_of_an_uninterrupted_one(tmp_path: Path, options: str) -> None:
    command = [sys.executable, str(CHAOS), str(tmp_path / "chaos"), *options.split()]
    threads = {**os.environ, "OMP_NUM_THREADS": "1"}  # the toy is too small for two
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=threads)
    assert done.returncode == 0, done.stdout + done.stderr
    facts = json.loads(done.stdout)
    assert facts["problems"] == []
    assert facts["half_written"] >= facts["kills"] * 2 // 5
