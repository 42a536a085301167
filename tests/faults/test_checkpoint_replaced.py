"""While a checkpoint replaces one of the same name, readers always find the complete old one or new one."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mtrack.run import checkpoint


def save(directory: Path, value: float) -> Path:
    facts = {
        "phase": "train",
        "phase_history": ["train"],
        "iteration": 5,
        "frames": 5,
        "frames_before": 0,
        "ended": False,
    }
    return checkpoint.save(directory, "train-5", facts, {"agent": {"w": torch.full((2,), value)}})


def read(directory: Path) -> float:
    found, _ = checkpoint.newest(directory)
    return float(found.part("agent")["w"][0])


class KilledError(BaseException):
    """Simulates a killed process: no code catches it."""


STEPS = [(Path, "rename"), (checkpoint, "_sync"), (checkpoint, "_delete"), (shutil, "rmtree"), (checkpoint, "_write")]


@pytest.mark.parametrize("is_before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize(("owner", "name"), STEPS, ids=[name for _, name in STEPS])
def test_a_kill_at_any_step_leaves_the_old_checkpoint_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, nth: int, is_before: bool
) -> None:
    save(tmp_path, 1.0)
    copies: list[Path] = []
    inner, calls = getattr(owner, name), 0

    def patched(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        returned = None if is_before and calls == nth else inner(*arguments, **named)
        if calls == nth:  # a copy shows what a killed process leaves; clean-up changes the original
            copies.append(Path(shutil.copytree(tmp_path, tmp_path.with_name(f"{tmp_path.name}-killed"))))
            raise KilledError
        return returned

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, patched)
        with contextlib.suppress(KilledError):
            save(tmp_path, 2.0)
    for left in copies:
        assert read(left) in (1.0, 2.0)
        save(left, 3.0)
        assert read(left) == 3.0
        assert [path.name for path in left.glob("[!.]*")] == ["train-5"]
    assert read(tmp_path) in (1.0, 2.0), "an exception at that step loses no checkpoint either"


@pytest.mark.parametrize("fail", [OSError(5, "Input/output error"), KeyboardInterrupt()], ids=["error", "interrupt"])
def test_a_rename_that_fails_leaves_the_old_checkpoint_under_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fail: BaseException
) -> None:
    save(tmp_path, 1.0)
    rename: Callable[..., Path] = Path.rename

    def patched(path: Path, target: Path) -> Path:
        if path.name.startswith("."):
            raise fail
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", patched)
        with pytest.raises(type(fail)):
            save(tmp_path, 2.0)
    assert [path.name for path in tmp_path.iterdir()] == ["train-5"]
    assert read(tmp_path) == 1.0
