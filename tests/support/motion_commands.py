"""Runs the commands of mtrack_retarget in this process, and writes what they read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import typer
from typer.testing import CliRunner

from mtrack_retarget import cli
from support.skeletons import walking_person


def run(command: str, *arguments: object, code: int = 0):
    """Run a command with one process, and return its result; its exit status must be `code`."""
    app = typer.Typer()
    app.command()(getattr(cli, command))
    jobs = () if command == "split" or "--jobs" in arguments else ("--jobs", 1)
    result = CliRunner().invoke(app, [str(argument) for argument in (*arguments, *jobs)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.stderr
    return result


def write_person(path: Path, frames: int = 15, **changes) -> Path:
    """Write a person who walks as joint positions."""
    motion = walking_person(frames, **changes)
    path.parent.mkdir(exist_ok=True)
    np.savez(path, positions=motion.pos, joint_names=np.array(motion.joint_names), fps=motion.fps or 30.0)
    return path


def stamps(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return when each file of a directory was written, and its content."""
    return {file.name: (file.stat().st_mtime_ns, file.read_bytes()) for file in sorted(folder.iterdir())}
