"""Loggers and hooks that raise, exit, interrupt or change state are reported once and do not change the run."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_runs import checkpoints, failing, mtrack, raising, run_toy, same, tensors

from mtrack import hookimpl
from mtrack.run.hooks import Hooks
from mtrack_log.console import Console
from mtrack_log.jsonl import read_jsonl

ENDS = [SystemExit(0), SystemExit(9), KeyboardInterrupt(), BaseExceptionGroup("x", [KeyboardInterrupt()])]
EACH_END = pytest.mark.parametrize("error", ENDS, ids=lambda error: f"{type(error).__name__} {error.args}")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 2 iterations with its own loggers and without hooks of the test."""
    directory = tmp_path_factory.mktemp("runs") / "whole"
    assert run_toy(directory, 2) == 0
    return directory


@pytest.mark.parametrize(
    ("method", "error"),
    [*(("log", error) for error in ENDS), *((name, ENDS[0]) for name in ("start", "checkpoint_saved", "finish"))],
    ids=str,
)
def test_an_exit_or_interrupt_of_a_logger_disables_it_and_the_run_continues(
    whole: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    error: BaseException,
) -> None:
    monkeypatch.setattr(Console, "checkpoint_saved", lambda self, path: None, raising=False)
    with failing(Console, method, 1, raising(error)):
        assert run_toy(tmp_path / "run", 2) == 0
    reports = [record.message for record in caplog.records if "loggers.console" in record.message]
    (report,) = reports
    assert "logger 'console' (mtrack 0.2.0.dev0) at loggers.console (" in report
    assert f") failed in {method} and is disabled" in report
    assert type(error).__name__ in report
    assert len(read_jsonl(tmp_path / "run" / "metrics.jsonl")) == 2, "the other logger continues"
    assert same(tensors(tmp_path / "run"), tensors(whole))


def watched(monkeypatch: pytest.MonkeyPatch, event: str, call: Callable[..., object]) -> None:
    """Install a hook that calls a function at an event."""
    hook = type("Hook", (), {event: hookimpl(call)})()
    hooks = Hooks()
    hooks.add(hook, "acme:watch")
    monkeypatch.setattr(Hooks, "load", lambda *_: hooks)


@EACH_END
def test_an_exit_or_interrupt_of_a_hook_disables_it_and_the_run_continues(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    watched(monkeypatch, "iteration_ended", lambda self, metrics: raising(error)())
    assert run_toy(tmp_path / "run", 2) == 0
    assert caplog.text.count("hook 'acme:watch' failed in iteration_ended and is disabled") == 1


def test_a_hook_can_change_neither_manifest_nor_metrics(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(self: object, manifest: Any) -> None:
        manifest["components"].clear()
        manifest["seed"] = 123

    watched(monkeypatch, "run_started", change)
    assert run_toy(tmp_path / "run", 2) == 0
    assert mtrack("run", "--resume", tmp_path / "run") == 0


def test_a_logger_can_change_neither_manifest_nor_metrics(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, start = Console.log, Console.start

    def change_values(self: Console, metrics: Any) -> None:
        log(self, metrics)
        metrics.values.clear()

    def change_manifest(self: Console, directory: Path, run: Any) -> None:
        start(self, directory, run)
        run["components"].clear()

    monkeypatch.setattr(Console, "log", change_values)
    monkeypatch.setattr(Console, "start", change_manifest)
    assert run_toy(tmp_path / "run", 2) == 0
    values = [metrics.values for metrics in read_jsonl(tmp_path / "run" / "metrics.jsonl")]
    assert values == [metrics.values for metrics in read_jsonl(whole / "metrics.jsonl")]
    assert mtrack("run", "--resume", tmp_path / "run") == 0


@pytest.mark.parametrize("owner", ["hook", "logger"])
def test_the_working_directory_and_torchs_settings_are_restored_with_a_warning(
    whole: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, owner: str
) -> None:
    def disturb(*_: object) -> None:
        os.chdir("/")
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)

    monkeypatch.chdir(tmp_path)
    if owner == "hook":
        watched(monkeypatch, "run_started", lambda self, directory: disturb())
    else:
        monkeypatch.setattr(Console, "log", disturb)
    assert run_toy(Path("run"), 2) == 0
    assert f"{owner} '" in caplog.text
    named = "the working directory, torch's default dtype, torch's gradient mode"
    assert f"changed {named}; they were restored" in caplog.text
    assert Path.cwd() == tmp_path
    assert same(tensors(tmp_path / "run"), tensors(whole))


def test_a_relative_run_directory_does_not_follow_the_working_directory(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with failing(torch.Tensor, "backward", 1, lambda: os.chdir("elsewhere")):
        assert run_toy(Path("run"), 2) == 0
    assert Path.cwd() == tmp_path / "elsewhere"
    assert checkpoints(tmp_path / "run") == checkpoints(whole)
    assert list((tmp_path / "elsewhere").iterdir()) == []
