"""Runs the command line in a separate process, with distributions that exist only during a test."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return a folder that is on the path of `mtrack`."""
    folder = tmp_path / "site"
    folder.mkdir()
    return folder


@pytest.fixture
def mtrack(site: Path, tmp_path: Path) -> Command:
    """Return a function that runs `mtrack` with arguments in an empty folder."""

    def run(*arguments: str, code: str = "from mtrack.cli import main; main()") -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(site), "COLUMNS": "200", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-c", code, *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=120, check=False
        )

    return run
