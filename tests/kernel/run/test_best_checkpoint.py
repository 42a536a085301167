"""The best checkpoint of each phase is kept besides the last ones, and can be named: `RUN@best`."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from statistics import fmean

import pytest

import mtrack
from mtrack import CheckpointError, RecipeError
from mtrack.cli import main
from mtrack.run.best_checkpoint import CheckpointScore, best_checkpoint
from mtrack.run.checkpoint import load, newest
from mtrack.run.checkpoint_facts import best_of_phases
from mtrack.run.fetched import local_run
from mtrack.run.hooks import Hooks
from mtrack.trial.first_step import try_phases
from mtrack_log.jsonl import read_jsonl
from mtrack_report.runs_overview import overview

FRAMES = 4 * 4  # of an iteration
SMALL = (
    "num_envs=4",
    "run.checkpoint_every=2",
    "run.keep=1",
    "loggers.console.enabled=false",
    *(f"phases.train.{setting}" for setting in ("train_every=4", "epochs=1", "minibatches=1", f"frames={9 * FRAMES}")),
)
STD = ("run.best.metric=policy/std", "run.best.mode=max")  # the exploration decreases, so the first one is the best
ADAPT = (f"phases.adapt.frames={2 * FRAMES}", "phases.adapt.train_every=4", "phases.adapt.minibatches=1")


def trained(directory: Path, *settings: str) -> Path:
    mtrack.train(mtrack.load_recipe("toy", *SMALL, *settings), directory, hooks=Hooks())
    return directory


def resumed(directory: Path, *settings: str) -> None:
    mtrack.train(mtrack.load_recipe(directory / "recipe.toml", *settings), directory, resume=True, hooks=Hooks())


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in (directory / "checkpoints").iterdir())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("runs") / "whole", *STD)


def test_the_best_one_is_kept_though_only_the_last_one_would_be(whole: Path) -> None:
    assert names(whole) == ["train-0000002", "train-0000008", "train-0000009"]
    assert newest(whole)[0].path.name == "train-0000009", "a run is resumed from its last checkpoint"


def test_its_value_is_the_mean_over_as_many_iterations_as_lie_between_two_checkpoints(whole: Path) -> None:
    values = [metrics.values["policy/std"] for metrics in read_jsonl(whole / "metrics.jsonl")]
    for name, last in (("train-0000002", 2), ("train-0000008", 8), ("train-0000009", 9)):
        score = load(whole / "checkpoints" / name).score
        assert score == {
            "metric": "policy/std",
            "mode": "max",
            "value": pytest.approx(fmean(values[last - 2 : last])),
            "recent": values[last - 2 : last],
        }


def test_a_resumed_run_goes_on_comparing_with_the_same_values(whole: Path, tmp_path: Path) -> None:
    half = Path(shutil.copytree(whole, tmp_path / "half"))
    for name in ("train-0000008", "train-0000009"):
        shutil.rmtree(half / "checkpoints" / name)
    resumed(half)
    assert names(half) == names(whole)
    for name in names(whole):
        assert load(half / "checkpoints" / name).score == load(whole / "checkpoints" / name).score


def test_each_phase_has_a_best_one_and_the_log_names_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "mtrack"):
        run = trained(tmp_path / "run", "run.best={metric='episode/count',mode='min'}", *ADAPT)
    best = best_of_phases(
        {path: json.loads((path / "manifest.json").read_bytes()) for path in (run / "checkpoints").iterdir()}
    )
    assert best.keys() == {"train", "adapt"}
    assert "best checkpoint so far: " in caplog.text
    assert best_checkpoint(run).phase == "adapt"


def test_it_can_be_named_wherever_a_run_is_loaded(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    best = whole / "checkpoints" / "train-0000002"
    assert local_run(f"{whole}@best") == best
    assert mtrack.load_policy(f"{whole}@best").checkpoint == best
    with pytest.raises(SystemExit) as ended:
        main(["eval", f"{whole}@best", "--episodes", "4", "--no-plots", "--json"])
    assert not ended.value.code
    found = json.loads(capsys.readouterr().out)
    assert (found["run"], found["checkpoint"]) == ("whole", "whole/checkpoints/train-0000002")


def test_a_path_that_exists_is_not_such_a_name(tmp_path: Path) -> None:
    (tmp_path / "run@best").mkdir()
    assert local_run(tmp_path / "run@best") == tmp_path / "run@best"


def test_overviews_name_it(whole: Path) -> None:
    assert overview(whole).best_checkpoints["train"].startswith("train-0000002 (policy/std 0.")


def test_a_run_without_one_says_how_to_get_it(tmp_path: Path, whole: Path) -> None:
    run = Path(shutil.copytree(whole, tmp_path / "run"))
    for file in run.glob("checkpoints/*/manifest.json"):
        facts = json.loads(file.read_bytes())
        del facts["score"]
        file.write_text(json.dumps(facts))
    with pytest.raises(CheckpointError, match=r"has no best checkpoint: .*\[run\] best = "):
        local_run(f"{run}@best")
    with pytest.raises(CheckpointError, match="is not a run directory"):
        local_run(f"{tmp_path / 'nothing'}@best")


@pytest.mark.parametrize("score", [7, {"metric": "a", "mode": "up", "value": 1.0, "recent": []}, {"recent": ["x"]}])
def test_a_damaged_score_is_named(whole: Path, tmp_path: Path, score: object) -> None:
    run = Path(shutil.copytree(whole, tmp_path / "run"))
    file = run / "checkpoints" / "train-0000009" / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_bytes()) | {"score": score}))
    with pytest.raises(CheckpointError, match=r"'score' is .* expected a table with metric, mode, value and recent"):
        load(file.parent)
    assert overview(run).best_checkpoints, "an overview does not fail"


def test_after_a_change_of_the_metric_only_its_values_are_compared(whole: Path, tmp_path: Path) -> None:
    half = Path(shutil.copytree(whole, tmp_path / "half"))
    for name in ("train-0000008", "train-0000009"):
        shutil.rmtree(half / "checkpoints" / name)
    resumed(half, "run.best.mode=min")  # [run] is not compared with what made the run
    assert names(half) == ["train-0000008", "train-0000009"]


def test_a_metric_that_no_phase_reports_is_rejected_before_a_run() -> None:
    with pytest.raises(RecipeError) as raised:
        try_phases(mtrack.load_recipe("toy", *SMALL, "run.best={metric='episode/lenght',mode='max'}"), "cpu")
    assert "run.best.metric" in str(raised.value)
    assert "did you mean 'episode/length'?" in str(raised.value)


def test_a_phase_that_does_not_report_it_is_noted() -> None:
    found = try_phases(mtrack.load_recipe("toy", *SMALL, *STD, *ADAPT), "cpu")
    assert "phase adapt does not report policy/std (run.best): no best checkpoint of it is kept" in found.notes


def test_an_iteration_without_a_value_does_not_count() -> None:
    recipe = mtrack.load_recipe("toy", "run.checkpoint_every=3", *STD)
    score = CheckpointScore.of(recipe.run)
    assert score is not None
    assert score.state()["value"] is None
    for value in (9.0, 1.0, float("nan"), 2.0, 3.0):
        score.add({"policy/std": value})
    score.add({})
    assert score.state()["value"] == 2.0


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (("run.best.metric=x",), "missing: mode"),
        (("run.best.metric=x", "run.best.mode=most"), 'expected one of "min", "max"'),
        (("run.best.metric=''", "run.best.mode=min"), "expected the name of a metric"),
    ],
)
def test_keys_are_checked(settings: tuple[str, ...], problem: str) -> None:
    with pytest.raises(RecipeError, match=problem):
        mtrack.load_recipe("toy", *settings)


def test_a_later_file_can_disable_and_enable_it(tmp_path: Path) -> None:
    off = tmp_path / "off.toml"
    off.write_text('extends = "toy"\n[run]\nbest = { metric = "x", mode = "min", enabled = false }\n')
    (tmp_path / "on.toml").write_text('extends = "off.toml"\n[run.best]\nmetric = "y"\n')
    assert CheckpointScore.of(mtrack.load_recipe(off).run) is None
    best = mtrack.load_recipe(tmp_path / "on.toml").run.best
    assert best is not None
    assert (best.metric, best.mode, best.enabled) == ("y", "min", True)
