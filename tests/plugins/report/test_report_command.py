"""`mtrack report` evaluates and records what is missing, compares runs, and explains what it cannot do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.invented_run import CLIPS, TERMS, invented_run, replay

from mtrack.cli import main
from mtrack_report import completion
from mtrack_report.replay_file import read_replays, write_replay
from mtrack_view import replay as view_replay

Report = Callable[..., tuple[int, str, str]]


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str]) -> Report:
    """Return a function that runs the command and returns its exit status, its output and its error output."""

    def command(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exit_:
            main(["report", *map(str, arguments)])
        out, err = capsys.readouterr()
        return int(exit_.value.code or 0), out, err

    return command


@pytest.fixture
def no_viewer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make viser look as if it were not installed."""
    for module in ("viewer", "replay_section"):
        monkeypatch.setattr(f"mtrack_report.{module}.find_spec", lambda name: None)


@pytest.mark.usefixtures("no_viewer")
def test_what_is_missing_is_added_once(untrained: Path, report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    status, out, err = report(untrained)
    assert (status, out) == (0, f"{untrained / 'report.html'}\n"), err
    replays = {each.which: each for each in read_replays(untrained, [])}
    assert {each.name for each in replays.values()} == {"sway12", "sway20"}
    assert [len(each.poses) for each in replays.values()] == [int(each.name[4:]) - 1 for each in replays.values()]
    assert all(len(each.pictures) == len(each.captions) == 6 for each in replays.values())
    html = (untrained / "report.html").read_text("utf-8")
    assert html.count("data:image/png") == 12
    assert "python -m pip install &#34;mtrack[view]&#34;" in html

    def not_again(*_: object, **__: object) -> None:
        pytest.fail("it was rolled out again")

    monkeypatch.setattr(completion, "evaluate_run", not_again)
    monkeypatch.setattr(completion, "prepare", not_again)
    assert report(untrained)[0] == 0


@pytest.mark.usefixtures("no_viewer")
def test_no_eval_uses_what_exists(run: Path, report: Report, tmp_path: Path) -> None:
    status, out, _ = report(run, "--no-eval", "-o", tmp_path / "mine.html")
    assert (status, out) == (0, f"{tmp_path / 'mine.html'}\n")
    assert "50 % of rollouts failed" in (tmp_path / "mine.html").read_text("utf-8")
    assert not (run / "report.html").exists()


def test_the_viewer_is_stored_once_for_both_replays(run: Path, report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtrack_report.viewer.replay_data", lambda *_: "cmVjb3JkaW5n")
    assert report(run, "--no-eval")[0] == 0
    html = (run / "report.html").read_text("utf-8")
    assert html.count('id="viewer"') == 1
    assert html.count("cmVjb3JkaW5n") == html.count("Play in 3D") == 2
    assert len(html) < 3e6
    assert view_replay.client_html() not in html, "it is encoded: its markup cannot end the element"


def test_a_run_without_checkpoints_has_a_report_that_says_so(run: Path, report: Report) -> None:
    (run / "checkpoints" / "finetune-0000002").rmdir()
    status, _, err = report(run)
    assert status == 0, err
    assert "has no checkpoint: the run ended before its first one" in (run / "report.html").read_text("utf-8")


def test_a_run_without_clips_is_scored_by_episodes(tmp_path: Path, report: Report) -> None:
    settings = ("num_envs=4", "phases.train.train_every=4", "phases.train.frames=64", "max_episode_steps=5")
    options = [part for setting in settings for part in ("--set", setting)]
    with pytest.raises(SystemExit):
        main(["run", "toy", "--run-dir", str(tmp_path / "toy"), *options])
    status, _, err = report(tmp_path / "toy")
    assert status == 0, err
    html = (tmp_path / "toy" / "report.html").read_text("utf-8")
    assert "100 episodes that end as in training" in html
    assert "0 % of episodes failed; 100 % completed" in html


def test_several_runs_are_compared_in_the_working_directory(
    run: Path, report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = invented_run(tmp_path / "other", "rewards.tracking.root_pos.sigma=0.25")
    monkeypatch.chdir(tmp_path)
    status, out, err = report(run, other, "--no-eval")
    assert (status, out) == (0, "report.html\n"), err
    html = (tmp_path / "report.html").read_text("utf-8")
    assert "rewards.tracking.root_pos.sigma" in html
    assert "0.25" in html
    assert all(f'data-chart="reward/tracking/{term}"' in html for term in TERMS)
    assert html.count('class="line run1"') == html.count('class="line run0"') >= len(TERMS)
    assert "other: failed [%]" in html


def test_an_outdated_replay_says_so(run: Path, report: Report) -> None:
    write_replay(run, replay("worst", CLIPS[0], "train-0000001"))
    (run / "replays" / "student_best.npz").unlink()
    assert report(run, "--no-eval")[0] == 0
    assert "The run has a newer checkpoint than this replay" in (run / "report.html").read_text("utf-8")


def test_mistakes_are_explained(run: Path, report: Report, tmp_path: Path) -> None:
    assert "is not a run directory" in report(tmp_path / "nowhere")[2]
    assert "is given twice" in report(run, run)[2]
    status, _, err = report(run, "--no-eval", "-o", tmp_path / "missing" / "report.html")
    assert (status, "give another file with -o" in err) == (2, True)
