"""A run that cannot learn stops with status 1 and says why; skipped updates and diverged envs are shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_runs import checkpoints, run_toy

from mtrack_log.jsonl import read_jsonl
from mtrack_ppo.phases import PpoPhase
from mtrack_ppo.train import Train
from mtrack_toy.physics import ToyPhysics
from mtrack_toy.task import ToyCloseness


def iterations(directory: Path) -> int:
    return len(read_jsonl(directory / "metrics.jsonl"))


def absurd_rewards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ToyCloseness, "__call__", lambda self, scene: torch.full((scene.num_envs,), 1e30))


def absurd_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PpoPhase, "present_rate", 1e30)


@pytest.mark.parametrize(
    ("fault", "reason", "remedy"),
    [
        (absurd_rewards, "Every update was skipped", "check the size of each reward and its weight"),
        (absurd_rate, "Every environment diverged in every step", "look for NaN"),  # its first step ruins the policy
    ],
    ids=["reward", "learning rate"],
)
def test_a_run_of_which_no_update_counts_stops_at_once(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    fault: Callable[[pytest.MonkeyPatch], None],
    reason: str,
    remedy: str,
) -> None:
    fault(monkeypatch)
    assert run_toy(tmp_path / "run", 20) == 1
    errors = capsys.readouterr().err
    assert iterations(tmp_path / "run") == 3
    assert f"nothing was learned in 3 iterations in a row. {reason}" in errors
    assert "there is no earlier state of this phase after which something was learned" in errors
    assert remedy in errors
    assert "failed after" in errors
    assert "finished" not in errors


def test_a_run_stops_if_all_environments_diverge(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ToyPhysics, "diverged", lambda self: torch.ones(4, dtype=torch.bool))
    assert run_toy(tmp_path / "run", 20) == 1
    errors = capsys.readouterr().err
    assert iterations(tmp_path / "run") == 3
    assert "Every environment diverged in every step (env/diverged 16 of 16)" in errors
    assert "there is no earlier state of this phase after which something was learned" in errors
    assert checkpoints(tmp_path / "run") == [], "they would hold nothing new"


def test_a_phase_of_two_useless_iterations_fails_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    absurd_rewards(monkeypatch)
    assert run_toy(tmp_path / "run", 2) == 1


def test_two_useless_iterations_in_a_row_do_not_end_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    update = Train.update

    def skipping(self: Train, rollout: Any, progress: float) -> Any:
        values = dict(update(self, rollout, progress))
        return values | {"update/skipped": 0.0 if round(progress * 8) % 3 == 2 else 1.0}

    monkeypatch.setattr(Train, "update", skipping)
    assert run_toy(tmp_path / "run", 8) == 0


def test_diverged_environments_and_skipped_updates_are_counted_and_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    diverging = torch.tensor([True, False, False, True])
    monkeypatch.setattr(ToyPhysics, "diverged", lambda self: diverging.clone())
    assert run_toy(tmp_path / "run", 3, "loggers.console.every_s=0") == 0
    (first, *_) = read_jsonl(tmp_path / "run" / "metrics.jsonl")
    assert first.values["env/diverged"] == 2 * 4
    assert first.values["update/skipped"] == 0.0
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("train ")]
    assert all("diverged 8" in line and "skipped" not in line for line in lines)
