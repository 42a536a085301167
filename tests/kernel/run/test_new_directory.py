"""Without --run-dir, every run gets a directory of its own, and one that cannot start leaves none behind."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import mtrack
from mtrack import RecipeError
from mtrack.run.choose_directory import discard_if_empty, new_directory
from mtrack.run.hooks import Hooks


@pytest.fixture(autouse=True)
def _same_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(time, "strftime", lambda *arguments: "20260101-120000")


def test_runs_that_start_in_the_same_second_get_different_directories(tmp_path: Path) -> None:
    recipe = mtrack.load_recipe("toy")
    made = [str(new_directory(recipe)) for _ in range(3)]
    first = "runs/toy-20260101-120000"
    assert made == [first, f"{first}-2", f"{first}-3"]


def test_a_run_that_cannot_start_leaves_no_directory(tmp_path: Path) -> None:
    recipe = mtrack.load_recipe("toy", "num_envs=4", "run.best={metric='a/b',mode='min'}")
    with pytest.raises(RecipeError):
        mtrack.train(recipe, hooks=Hooks())
    assert not list((tmp_path / "runs").iterdir())


def test_a_directory_that_is_used_stays(tmp_path: Path) -> None:
    directory = new_directory(mtrack.load_recipe("toy"))
    (directory / "manifest.json").touch()
    discard_if_empty(directory)
    assert (directory / "manifest.json").exists()


def test_a_folder_that_cannot_be_written_is_reported_by_the_run(tmp_path: Path) -> None:
    (tmp_path / "runs").touch()
    assert str(new_directory(mtrack.load_recipe("toy"))) == "runs/toy-20260101-120000"
