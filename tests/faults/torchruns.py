"""Runs of the toy task in two processes, started by torchrun."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, TypeAlias

Done: TypeAlias = "subprocess.CompletedProcess[str]"
ITERATIONS = 4
SETTINGS = ("--set", "num_envs=8", "--set", "run.checkpoint_every=2", "--set", "run.keep=5")
_PARTS = ("agent", "phase", "env")


def frames(iterations: int) -> str:
    """Return the recipe key for so many iterations of two processes with these settings."""
    return f"phases.train.frames={iterations * 8 * 2 * 16}"


def torchrun(*options: str) -> list[str]:
    """Return the beginning of a command that starts processes on this machine."""
    return [sys.executable, "-m", "torch.distributed.run", *options]


def two(program: list[str], *arguments: object, options: tuple[str, ...] = (), **more: Any) -> Done:
    """Run a program in two processes, with options of torchrun."""
    command = [*torchrun("--standalone", "--nproc-per-node", "2", *options), *program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=400, check=False, **more)


def ranks(run: Path) -> tuple[Path, Path]:
    """Return the directories of both processes of a run."""
    return run, run / "ranks" / "1"


def last_bytes(run: Path, iteration: int = ITERATIONS) -> list[bytes]:
    """Return the checkpoint of an iteration of both processes."""
    folders = [directory / "checkpoints" / f"train-{iteration:07d}" for directory in ranks(run)]
    return [(folder / f"{part}.safetensors").read_bytes() for folder in folders for part in _PARTS]


def children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def one_thread() -> dict[str, str]:
    """Return the environment for two torchruns on one machine, whose processes share it."""
    return {**os.environ, "OMP_NUM_THREADS": "1"}
