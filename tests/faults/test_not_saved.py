"""A run whose last state is not on disk ends with status 1, says what is missing, and is never "finished"."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from toy_runs import checkpoints, failing, mtrack, raising, run_toy

from mtrack import hookimpl
from mtrack.run import checkpoint
from mtrack.run.hooks import Hooks
from mtrack_log.jsonl import Jsonl

FULL = OSError(28, "No space left on device")


def test_a_file_in_place_of_the_checkpoints_is_found_before_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "checkpoints").touch()
    assert run_toy(tmp_path / "run") == 2
    assert f"cannot write to {tmp_path / 'run' / 'checkpoints'}: File exists" in capsys.readouterr().err
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


@pytest.mark.parametrize(("name", "saves"), [("_write", 3), ("_sync", 3)], ids=["file", "directory"])
def test_a_run_ends_with_status_1_if_the_last_state_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, saves: int
) -> None:
    inner, calls = getattr(checkpoint, name), 0
    ended: list[str] = []
    monkeypatch.setattr(Jsonl, "finish", lambda self, status: ended.append(status))

    def patched(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > (1 if name == "_sync" else 4):
            raise FULL
        return inner(*arguments)

    monkeypatch.setattr(checkpoint, name, patched)
    assert run_toy(tmp_path / "run", 4) == 1
    errors = capsys.readouterr().err
    assert "cannot write the checkpoint of iteration 4 of phase 'train': [Errno 28] No space" in errors
    assert "finished" not in errors
    assert ended == ["failed"]


def test_after_a_failed_write_the_next_checkpoint_is_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with failing(checkpoint, "_write", 1, raising(FULL)):
        assert run_toy(tmp_path / "run", 4) == 0
    assert checkpoints(tmp_path / "run") == ["train-0000004"]
    assert "cannot write the checkpoint of iteration 2" in caplog.text


def test_a_missing_last_checkpoint_of_a_phase_is_reported_at_the_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "two.toml"
    recipe.write_text('extends = "toy.toml"\n[phases.more]\nuse = "train"\nframes = 32\ntrain_every = 4\n')
    settings = ("num_envs=4", "run.checkpoint_every=50", "phases.train.frames=32", "phases.train.train_every=4")
    arguments = [part for key in settings for part in ("--set", key)]
    with failing(checkpoint, "_write", 1, raising(FULL)):
        assert mtrack("run", recipe, "--run-dir", tmp_path / "run", *arguments) == 1
    assert checkpoints(tmp_path / "run") == ["more-0000002"]
    assert "cannot write the checkpoint of iteration 2 of phase 'train'" in capsys.readouterr().err


@pytest.mark.parametrize("what", ["deleted", "damaged"])
def test_a_run_fails_if_a_hook_has_changed_its_last_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    class Deleting:
        @hookimpl
        def checkpoint_saved(self, path: Path) -> None:
            if what == "deleted":
                shutil.rmtree(path)
            else:
                (path / "agent.safetensors").write_bytes(b"")

    hooks = Hooks()
    hooks.add(Deleting(), "deleting")
    monkeypatch.setattr(Hooks, "load", lambda *_: hooks)
    assert run_toy(tmp_path / "run", 2) == 1
    errors = capsys.readouterr().err
    assert "the last checkpoint was written, but has changed since: " in errors
    assert "train-0000002" in errors
    assert "there is no checkpoint" in errors


def test_a_run_fails_if_a_signal_stops_it_and_its_state_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        failing(Jsonl, "log", 1, lambda: os.kill(os.getpid(), signal.SIGTERM)),
        failing(checkpoint, "_write", 1, raising(FULL)),
    ):
        assert run_toy(tmp_path / "run", 4, "run.checkpoint_every=50") == 1
    assert "cannot write the checkpoint of iteration 1" in capsys.readouterr().err
