"""Two processes over the loopback interface: a simulated robot, and a policy that Ctrl-C interrupts."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("cyclonedds", reason="cyclonedds is not installed: pip install cyclonedds")

ROOT = Path(__file__).resolve().parents[2]
DOMAIN = ["--domain", str(20 + os.getpid() % 200)]  # test processes must not meet


def start(*arguments: str) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "deploy"), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "mtrack_deploy", *arguments, *DOMAIN]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """Return the lines up to the one with a text; all of them if no line has it."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            break
    return "".join(lines)


@pytest.fixture
def simulated(folder: Path) -> Iterator[subprocess.Popen[str]]:
    # it hangs all the time: an untrained policy cannot stand
    process = start("simulate", str(folder), "--lowered-after", "60", "--seconds", "60")
    yield process
    process.kill()
    process.communicate()


def test_a_policy_drives_a_robot_and_damps_it_when_interrupted(folder: Path, simulated: subprocess.Popen[str]) -> None:
    assert "simulated g1 on 'lo'" in read_until(simulated, "Ctrl-C")
    options = ("--move", "1", "--hold", "0", "--after", "60", "--longest-silence", "1")
    run = start("run", str(folder), "--robot", "unitree", *options)
    try:
        before = read_until(run, "end of the last clip")
        assert "moving to the first pose in 1 s" in before
        run.send_signal(signal.SIGINT)
        after = run.communicate(timeout=20)[0]
    finally:
        run.kill()
        run.communicate()
    assert run.returncode == 130, before + after
    assert "damped for 2 s" in after
    assert "stopped by SIGINT" in after
    steps = re.search(r"(\d+) control steps", after)
    assert steps and int(steps[1]) >= 29, after
    simulated.send_signal(signal.SIGTERM)
    seen = simulated.communicate(timeout=20)[0]
    assert simulated.returncode == 128 + signal.SIGTERM
    assert "commands arrive" in seen
    obeyed = re.search(r"(\d+) commands obeyed", seen)
    assert obeyed and int(obeyed[1]) > 300, seen  # 1 s of moving, a clip of 0.6 s and 2 s of damping, 200 a second
    assert "rejected" not in seen
