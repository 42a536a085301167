"""A run without a checkpoint can be started again, and `--resume` explains invalid arguments."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from toy_runs import SMALL, checkpoints, failing, mtrack, raising, run_toy, same, tensors

from mtrack import MtrackError
from mtrack_log.jsonl import Jsonl
from mtrack_ppo.train import Train


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 2 iterations."""
    directory = tmp_path_factory.mktemp("runs") / "whole"
    assert run_toy(directory, 2) == 0
    return directory


def interrupted(directory: Path, *more: object) -> None:
    """Create a run that fails in its first iteration."""
    settings = [part for key in (*SMALL, "phases.train.frames=32") for part in ("--set", key)]
    with failing(Train, "update", 1, raising(ArithmeticError())):
        assert mtrack("run", "toy", "--run-dir", directory, *settings, *more) == 1
    assert (directory / "recipe.toml").exists()
    assert (directory / "manifest.json").exists()
    assert checkpoints(directory) == []


def test_the_same_command_restarts_a_run_without_checkpoints(whole: Path, tmp_path: Path) -> None:
    interrupted(tmp_path / "run")
    assert run_toy(tmp_path / "run", 2) == 0
    assert same(tensors(tmp_path / "run"), tensors(whole))


@pytest.mark.parametrize("lost", ["", "manifest.json", "checkpoints"])
def test_resuming_a_run_without_checkpoints_restarts_it_with_a_message(
    whole: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, lost: str
) -> None:
    interrupted(tmp_path / "run")
    if lost == "checkpoints":
        (tmp_path / "run" / lost).rmdir()
    elif lost:  # version 0.1.0 wrote it later
        (tmp_path / "run" / lost).unlink()
    assert mtrack("run", "--resume", tmp_path / "run") == 0
    assert f"{tmp_path / 'run'} has no checkpoint yet: the run starts over" in caplog.text
    assert same(tensors(tmp_path / "run"), tensors(whole))


def test_a_restart_does_not_lose_the_agent_of_another_run(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupted(tmp_path / "run", "--from", whole)
    assert mtrack("run", "--resume", tmp_path / "run") == 2
    assert "started with the agent of another run: repeat the command" in capsys.readouterr().err


def test_a_run_whose_only_checkpoint_is_damaged_is_not_restarted(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(whole, tmp_path / "run")
    (tmp_path / "run" / "checkpoints" / "train-0000002" / "agent.safetensors").write_bytes(b"")
    assert mtrack("run", "--resume", tmp_path / "run") == 2
    assert "agent.safetensors is damaged" in capsys.readouterr().err
    assert run_toy(tmp_path / "run", 2) == 2
    assert "already holds a run" in capsys.readouterr().err


def test_recipe_and_manifest_are_written_after_the_loggers_have_started(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with failing(Jsonl, "start", 1, raising(MtrackError('pip install "mtrack[extra]"'))):
        assert run_toy(tmp_path / "run", 2) == 2
    errors = capsys.readouterr().err
    assert "loggers.jsonl" in errors
    assert "logger 'jsonl' (mtrack 0.2.0.dev0) at loggers.jsonl (" in errors and ") cannot start: pip install" in errors
    assert "or train without this logger: --set loggers.jsonl.enabled=false" in errors
    assert not (tmp_path / "run" / "recipe.toml").exists()
    assert not (tmp_path / "run" / "manifest.json").exists()
    assert run_toy(tmp_path / "run", 2) == 0


def test_starting_from_a_run_without_checkpoints_is_rejected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupted(tmp_path / "run")
    assert mtrack("run", "toy", "--from", tmp_path / "run", "--run-dir", tmp_path / "other") == 2
    assert f"{tmp_path / 'run'} has no checkpoint: the run ended before its first one" in capsys.readouterr().err


WRONG = {
    "{run}/checkpoints": "not a run directory, but a folder inside one. --resume {run} continues from",
    "{run}/checkpoints/train-0000002": "--from {run}/checkpoints/train-0000002 starts a new run",
    "{parent}/whol": "{parent}/whol: no such directory. did you mean 'whole'?",
    "{run}/recipe.toml": "not a directory; expected a run directory",
    "{parent}": "not a run directory, recipe.toml is missing",
    "{run} --run-dir x": "--resume continues in {run} itself: leave out --run-dir",
    "{run} --from {run}": "--from starts a new run",
    "wandb:team/humanoid/3fa9c1b2": "--from wandb:team/humanoid/3fa9c1b2 starts a new run",
    "{run} toy": "--resume uses the recipe in {run}: leave out 'toy' or --resume",
}


@pytest.mark.parametrize(("given", "reason"), WRONG.items())
def test_resume_explains_invalid_arguments(
    whole: Path, capsys: pytest.CaptureFixture[str], given: str, reason: str
) -> None:
    words = {"run": whole, "parent": whole.parent}
    assert mtrack("run", "--resume", *given.format(**words).split()) == 2
    assert reason.format(**words) in capsys.readouterr().err


@pytest.mark.parametrize("content", ["[]", "{", '{"components": 5, "distributions": {}}'])
def test_a_damaged_manifest_of_a_run_is_named(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    shutil.copytree(whole, tmp_path / "run")
    (tmp_path / "run" / "manifest.json").write_text(content)
    assert mtrack("run", "--resume", tmp_path / "run") == 2
    errors = capsys.readouterr().err
    assert f"{tmp_path / 'run' / 'manifest.json'} is damaged" in errors
    assert "Traceback" not in errors
