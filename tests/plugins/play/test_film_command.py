"""`mtrack play --video` rejects what does not fit before the run is opened, and films the worst clip by default."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_session import FakeSession

from mtrack.cli import main
from mtrack_play.film_command import worst_clip


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--video", "film.mp4", "--follow"), "--video makes a film without a window: leave out --follow"),
        (("--video", "film.avi"), "film.avi: a film must be an .mp4 file"),
        (("--video", "film.mp4", "--size", "big"), "--size big: expected two numbers"),
        (("--clip", "a", "--clip", "b"), "only a film has several clips"),
    ],
)
def test_options_that_do_not_fit_are_explained(tmp_path, monkeypatch, capsys, options, says):
    monkeypatch.chdir(tmp_path)
    Path("run").mkdir()
    Path("run", "recipe.toml").touch()
    with pytest.raises(SystemExit) as ended:
        main(["play", "run", *options])
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


def test_the_worst_clip_of_the_last_evaluation_is_filmed_and_the_first_without_one(tmp_path):
    session = FakeSession(actors=("teacher",))
    assert worst_clip(session, tmp_path) == "stand"
    clips = [{"clip": "walk", "failed": 0.5}, {"clip": "stand", "failed": 0.0}, {"clip": "turn", "failed": 0.0}]
    facts = {"date": "2026-01-01T00:00:00+00:00", "checkpoint": "run/a", "frames": 1, "distance": ""}
    stored = {**facts, "clips": clips, "units": {}, "average": {}}
    (tmp_path / "eval_teacher.json").write_text(json.dumps(stored))
    assert worst_clip(session, tmp_path) == "walk"
