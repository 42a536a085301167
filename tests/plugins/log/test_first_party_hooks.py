"""The hooks that mtrack brings: a status file in the run directory, and the user's command when a run ends."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import pytest
from feed_of_metrics import iteration

from mtrack.cli import main
from mtrack.registry.hook_contract import hook_problems
from mtrack.registry.registry import Registry
from mtrack.run.hooks import Hooks
from mtrack_log import status_file
from mtrack_log.notify import COMMAND, Notify
from mtrack_log.status_file import StatusFile

SETTINGS = ("num_envs=4", "run.checkpoint_every=2", "phases.train.train_every=4", "phases.train.frames=64")


def hooks_in(directory: Path, *hooks: type) -> Hooks:
    """Return hooks after the start of a run in a directory."""
    called = Hooks()
    for hook in hooks:
        called.add(hook, hook.__name__)
    called.call("run_started", directory=directory, manifest={})
    return called


def status(directory: Path) -> dict[str, object]:
    facts = json.loads((directory / "status.json").read_text("utf-8"))
    assert isinstance(facts, dict)
    return facts


def writes_environment_to(path: Path) -> str:
    """Return a shell command that writes what it was given into a file."""
    code = "import os, sys; open(sys.argv[1], 'w').write(os.environ['MTRACK_RUN'] + ' ' + os.environ['MTRACK_STATUS'])"
    return f'"{sys.executable}" -c "{code}" "{path}"'


def test_both_hooks_are_installed_and_fit() -> None:
    registry = Registry.scan()
    loaded = {entry.name: registry.load(entry) for entry in registry.of("hook")}
    assert (loaded["notify"], loaded["status_file"]) == (Notify, StatusFile)
    assert hook_problems(Notify) == hook_problems(StatusFile) == []


def test_a_run_writes_its_status_and_notifies_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(COMMAND, writes_environment_to(tmp_path / "noted"))
    options = [part for setting in SETTINGS for part in ("--set", setting)]
    with pytest.raises(SystemExit):
        main(["run", "toy", "--run-dir", str(tmp_path / "run"), *options])
    facts = status(tmp_path / "run")
    shown = ("status", "phase", "iteration", "iterations", "frames", "checkpoint")
    assert [facts[name] for name in shown] == ["finished", "train", 4, 4, 64, "train-0000004"]
    assert "reward_raw/toy/closeness" in facts["values"]  # type: ignore[operator]
    assert (tmp_path / "noted").read_text() == f"{tmp_path / 'run'} finished"
    assert not list((tmp_path / "run").glob(".status*")), "the new file has replaced the old one"


def test_hooks_can_be_disabled(tmp_path: Path) -> None:
    options = [part for setting in SETTINGS for part in ("--set", setting)]
    with pytest.raises(SystemExit):
        main(["run", "toy", "--run-dir", str(tmp_path / "run"), *options, "-p", "no:status_file"])
    assert not (tmp_path / "run" / "status.json").exists()


def test_the_status_file_is_json_even_if_a_metric_is_nan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_file, "_EVERY_S", 0.0)
    hooks = hooks_in(tmp_path, StatusFile)
    hooks.call("iteration_ended", metrics=iteration(3, loss=math.nan))
    facts = status(tmp_path)
    assert (facts["status"], facts["iteration"], facts["eta_s"]) == ("running", 3, 8040.0)
    assert facts["values"]["loss"] is None  # type: ignore[index]


def test_iterations_are_written_at_most_every_few_seconds_and_the_last_one_at_the_end(tmp_path: Path) -> None:
    hooks = hooks_in(tmp_path, StatusFile)
    hooks.call("iteration_ended", metrics=iteration(3))
    assert "iteration" not in status(tmp_path)
    hooks.call("run_ended", status="failed")
    assert (status(tmp_path)["iteration"], status(tmp_path)["status"]) == (3, "failed")


def test_a_status_file_that_cannot_be_written_is_reported_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hooks = hooks_in(tmp_path / "missing", StatusFile)
    hooks.call("run_ended", status="finished")
    (record,) = caplog.records
    assert "status.json: [Errno 2] No such file" in record.message


def test_without_the_variable_nothing_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(COMMAND, raising=False)
    monkeypatch.setattr("subprocess.run", lambda *_, **__: pytest.fail("a command was run"))
    hooks_in(tmp_path, Notify).call("run_ended", status="finished")


def test_a_command_that_fails_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(COMMAND, "exit 3")
    hooks_in(tmp_path, Notify).call("run_ended", status="finished")
    assert "hook 'Notify' failed in run_ended" in caplog.text
    assert "exit status 3" in caplog.text
