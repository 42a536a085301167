"""A phase that stops learning is rolled back to a sound checkpoint with half the learning rate, at most three times."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_runs import checkpoints, failing, mtrack, raising, run_toy, same, tensors

from mtrack.api.abilities import PlaysClips
from mtrack.run import rolling_back
from mtrack.run.divergence import DivergenceRecorder
from mtrack_log.jsonl import read_jsonl
from mtrack_ppo.train import Train

ITERATIONS = 6
POISONED = 3
LR = 3e-3
QUICK = ("phases.train.minibatches=2", "phases.train.estimator_epochs=0", "run.keep=9")


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that makes a network NaN after one iteration, unless the learning rate is low enough."""

    def install(iteration: int = POISONED, network: str = "critic", cured_by: float = 0.5) -> None:
        update = Train.update

        def poisoned(self: Train, rollout: Any, progress: float) -> Any:
            values = update(self, rollout, progress)
            if abs(progress - (iteration - 1) / ITERATIONS) < 1e-9 and self.rate_factor > cured_by:
                with torch.no_grad():
                    attrgetter(network)(self.agent).head.weight.fill_(torch.nan)
            return values

        monkeypatch.setattr(Train, "update", poisoned)

    return install


def manifest(directory: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((directory / "checkpoints" / name / "manifest.json").read_text())
    return content


def train(directory: Path, *settings: str) -> int:
    return run_toy(directory, ITERATIONS, *QUICK, *settings)


def test_it_returns_to_the_newest_checkpoint_after_which_something_was_learned(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    poison: Callable[..., None],
) -> None:
    poison(iteration=2)
    run = tmp_path / "run"
    assert train(run, "loggers.console.every_s=0", "run.checkpoint_every=1") == 0
    message = "phase 'train' was rolled back after iteration 5 to train-0000001, learning rate halved: Every update"
    assert message in caplog.text
    assert [path.name for path in (run / "rolled_back").iterdir()] == ["train-0000002"], "it holds the NaN"
    assert manifest(run, "train-0000006")["rollbacks"]["learning_rate_factor"] == 0.5
    (line,) = (run / "rollbacks.jsonl").read_text().splitlines()
    assert json.loads(line)["target"] == "train-0000001"
    before, after, *_ = read_jsonl(run / "metrics.jsonl")  # iteration 2 has been repeated
    assert "update/rollbacks" not in before.values
    assert after.values["update/rollbacks"] == 1.0
    assert after.values["policy/learning_rate"] == pytest.approx(LR / 2)
    lines = capsys.readouterr().err.splitlines()
    assert any(line.startswith("train 6/6") and "rollbacks 1" in line for line in lines)


def test_a_run_that_is_resumed_after_a_rollback_gives_the_same_bytes(
    tmp_path: Path, poison: Callable[..., None]
) -> None:
    poison()
    whole, stopped, fresh = (tmp_path / name for name in ("whole", "stopped", "fresh"))
    assert train(whole) == 0
    for nth in (8, 7):  # after the rollback: before a checkpoint, and after one
        broken = raising(ArithmeticError("broken on purpose"))
        with failing(Train, "update", nth, broken):
            assert (mtrack("run", "--resume", stopped) if stopped.exists() else train(stopped)) == 1
    assert checkpoints(stopped) == ["train-0000002", "train-0000004"]
    assert mtrack("run", "--resume", stopped) == 0
    assert same(tensors(stopped), tensors(whole))

    shutil.copytree(whole, fresh)  # for a process that has never seen the NaN
    for name in checkpoints(fresh)[1:]:
        shutil.rmtree(fresh / "checkpoints" / name)
    facts = manifest(fresh, "train-0000002")
    facts["rollbacks"] = manifest(whole, f"train-{ITERATIONS:07d}")["rollbacks"]
    (fresh / "checkpoints" / "train-0000002" / "manifest.json").write_text(json.dumps(facts))
    assert mtrack("run", "--resume", fresh) == 0
    assert same(tensors(fresh), tensors(whole))


def test_without_a_checkpoint_it_returns_to_the_start_of_the_phase(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, poison: Callable[..., None]
) -> None:
    assert train(tmp_path / "slow", "phases.train.kl_adaptive=false", f"phases.train.lr={LR / 2}") == 0
    poison(iteration=1)
    assert train(tmp_path / "run", "phases.train.kl_adaptive=false") == 0
    assert "rolled back after iteration 4 to the start of the phase" in caplog.text
    assert same(*(tensors(tmp_path / run) for run in ("run", "slow")))


def test_after_three_rollbacks_the_run_stops_with_its_evidence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], poison: Callable[..., None]
) -> None:
    poison(cured_by=0.0)
    run = tmp_path / "run"
    assert train(run) == 1
    errors = capsys.readouterr().err
    assert "the run stopped after iteration 6 of phase 'train': nothing was learned in 3 iterations in a row." in errors
    assert "it is not rolled back: it has been rolled back 3 times" in errors
    assert errors.count("before: rolled back after iteration 6 to train-0000002") == 3
    assert "the last checkpoint is" in errors and "(iteration 2 of phase 'train')" in errors
    factors = [json.loads(line)["learning_rate_factor"] for line in (run / "rollbacks.jsonl").read_text().splitlines()]
    assert factors == [0.5, 0.25, 0.125]


def test_a_policy_that_makes_every_environment_diverge_is_rolled_back_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, poison: Callable[..., None]
) -> None:
    monkeypatch.setattr(DivergenceRecorder, "keep", lambda *_: None)
    poison(network="actor_teacher.mean")
    assert train(tmp_path / "run") == 0
    assert "Every environment diverged in every step (env/diverged 16 of 16)" in caplog.text


def test_a_phase_that_cannot_change_its_learning_rate_is_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, poison: Callable[..., None]
) -> None:
    poison()
    monkeypatch.setattr(rolling_back, "ScalesLearningRate", PlaysClips)  # which no phase does
    assert train(tmp_path / "run") == 1
    errors = capsys.readouterr().err
    assert "it is not rolled back: phase 'train' (mtrack 0.2.0.dev0) at phases.train (" in errors
    assert "has no scale_learning_rate" in errors
