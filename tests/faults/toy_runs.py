"""Runs of the toy task in this process, through the command line, with faults that a test injects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from mtrack import is_trial
from mtrack.cli import main

SMALL = ("num_envs=4", "run.checkpoint_every=2", "phases.train.train_every=4", "phases.train.epochs=1")
FRAMES = 4 * 4  # per iteration with these settings


def mtrack(*arguments: object) -> int:
    """Run a command and return its exit status; the number of torch's threads is restored."""
    threads = torch.get_num_threads()
    try:
        with pytest.raises(SystemExit) as exit_:
            main([str(argument) for argument in arguments])
    finally:
        torch.set_num_threads(threads)
    return int(exit_.value.code or 0)


def run_toy(directory: Path, iterations: int = 6, *more: str) -> int:
    """Run the toy for some iterations, with a checkpoint every 2, and return the exit status."""
    settings = (*SMALL, f"phases.train.frames={iterations * FRAMES}", *more)
    return mtrack("run", "toy", "--run-dir", directory, *(part for key in settings for part in ("--set", key)))


def checkpoints(directory: Path) -> list[str]:
    """Return the names of the checkpoints of a run."""
    return sorted(path.name for path in (directory / "checkpoints").glob("[!.]*"))


def tensors(directory: Path, name: str = "") -> dict[str, torch.Tensor]:
    """Return every tensor of a checkpoint, the last by default."""
    folder = directory / "checkpoints" / (name or checkpoints(directory)[-1])
    parts = (load_file(file).items() for file in sorted(folder.glob("*.safetensors")))
    return {key: value for part in parts for key, value in part}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Return whether two checkpoints have the same tensors, bit for bit."""
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@contextmanager
def failing(owner: Any, name: str, nth: int, fail: Callable[[], object]) -> Iterator[None]:
    """Call `fail` before the nth call of a method only; calls of the trial step before a run do not count."""
    inner, calls = getattr(owner, name), 0

    def patched(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        if is_trial():
            return inner(*arguments, **named)
        calls += 1
        if calls == nth:
            fail()
        return inner(*arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, patched)
        yield


def raising(error: BaseException) -> Callable[[], object]:
    """Return a function that raises an exception."""

    def fail() -> None:
        raise error

    return fail
