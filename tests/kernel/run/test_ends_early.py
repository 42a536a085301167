"""A phase with `until` ends early, also after an interruption, and the run continues as after all its frames."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import pytest

import mtrack
from mtrack import CheckpointError
from mtrack.run.checkpoint import newest
from mtrack.run.hooks import Hooks
from mtrack_log.jsonl import read_jsonl

FRAMES = 4 * 4  # of an iteration
SMALL = (
    "num_envs=4",
    "run.checkpoint_every=2",
    "run.keep=9",
    "loggers.console.enabled=false",
    *(f"phases.train.{setting}" for setting in ("train_every=4", "epochs=1", "minibatches=1", f"frames={20 * FRAMES}")),
    'phases.train.until.above."value/explained_variance"=-1e9',
    f"phases.train.until.patience={5 * FRAMES}",
)
ADAPT = (f"phases.adapt.frames={2 * FRAMES}", "phases.adapt.train_every=4", "phases.adapt.minibatches=1")


def trained(directory: Path, *settings: str) -> mtrack.TrainResult:
    return mtrack.train(mtrack.load_recipe("toy", *SMALL, *settings), directory, hooks=Hooks())


def resumed(directory: Path, *settings: str, **options: bool) -> mtrack.TrainResult:
    recipe = mtrack.load_recipe(directory / "recipe.toml", *settings)
    return mtrack.train(recipe, directory, resume=True, hooks=Hooks(), **options)


def interrupted(whole: Path, directory: Path) -> Path:
    """Return a copy of a run as it was after iteration 2."""
    shutil.copytree(whole, directory)
    for path in (directory / "checkpoints").iterdir():
        if path.name != "train-0000002":
            shutil.rmtree(path)
    return directory


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an uninterrupted run that has ended after 5 of 20 iterations."""
    directory = tmp_path_factory.mktemp("runs") / "whole"
    assert trained(directory).status == "finished"
    return directory


def test_a_phase_ends_with_a_final_checkpoint_and_its_progress_is_that_of_all_its_frames(whole: Path) -> None:
    history = read_jsonl(whole / "metrics.jsonl")
    assert [metrics.values["until/held_frames"] for metrics in history] == [16, 32, 48, 64, 80]
    assert {metrics.iterations for metrics in history} == {20}
    last = newest(whole)[0]
    assert (last.iteration, last.ended) == (5, True)


def test_a_resumed_run_ends_at_the_same_iteration_with_the_same_bytes(whole: Path, tmp_path: Path) -> None:
    half = interrupted(whole, tmp_path / "half")
    assert resumed(half).status == "finished"
    ours, theirs = newest(half)[0], newest(whole)[0]
    assert ours.iteration == theirs.iteration
    assert ours.until == theirs.until
    for part in ("agent", "phase", "env"):
        assert ours.manifest["files"][f"{part}.safetensors"] == theirs.manifest["files"][f"{part}.safetensors"]


def test_a_finished_run_that_is_resumed_stays_finished(whole: Path) -> None:
    before = len(read_jsonl(whole / "metrics.jsonl"))
    assert resumed(whole).status == "finished"
    assert len(read_jsonl(whole / "metrics.jsonl")) == before


def test_a_change_stops_a_resume_as_a_change_of_frames_does_unless_it_is_allowed(whole: Path, tmp_path: Path) -> None:
    half = interrupted(whole, tmp_path / "half")
    longer = f"phases.train.until.patience={7 * FRAMES}"
    with pytest.raises(CheckpointError, match=r"phases.train.until.patience: 80 -> 112"):
        resumed(half, longer)
    assert resumed(half, longer, allow_change=True).status == "finished"
    assert newest(half)[0].iteration == 7


def test_the_next_phase_follows_and_the_log_says_why(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "mtrack"):
        assert trained(tmp_path / "run", *ADAPT, 'phases.adapt.until.above."loss/estimator"=1e9').status == "finished"
    history = read_jsonl(tmp_path / "run" / "metrics.jsonl")
    assert [(metrics.phase, metrics.frames) for metrics in history[4:]] == [
        ("train", 80),
        ("adapt", 96),
        ("adapt", 112),
    ]
    assert (
        "phase 'train' ended after 80 of 320 frames, with value/explained_variance above -1e+09 for 80" in caplog.text
    )
    assert "phase 'adapt' ended after 32 of 32 frames, without loss/estimator above 1e+09 for 100,000" in caplog.text


def test_a_checkpoint_with_a_damaged_count_is_named(whole: Path, tmp_path: Path) -> None:
    half = interrupted(whole, tmp_path / "half")
    file = half / "checkpoints" / "train-0000002" / "manifest.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "until": {"held_frames": "many"}}))
    with pytest.raises(CheckpointError, match=r"'until' is .* expected a table with held_frames"):
        newest(half)
