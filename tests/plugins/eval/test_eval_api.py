"""`mtrack_eval.evaluate` returns the report that `mtrack eval` prints, without printing or drawing anything."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys

import pytest
import torch

import mtrack_eval
from mtrack import CheckpointError, MtrackError, RecipeError
from mtrack.cli import main
from mtrack_eval.cli import evaluate as command
from mtrack_eval.clip_report import ClipReport
from mtrack_eval.episode_report import EpisodeReport


def printed(capsys, *arguments):
    with pytest.raises(SystemExit):
        main(["eval", *map(str, arguments), "--json", "--no-plots"])
    return json.loads(capsys.readouterr().out)


def test_the_report_equals_what_the_command_prints(run, capsys):
    torch.set_num_threads(1)
    report = mtrack_eval.evaluate(str(run), rollouts=2, seed=3)
    assert capsys.readouterr().out == ""
    assert not list(run.glob("*.png")), "plots are drawn on request only"
    assert isinstance(report, ClipReport)
    assert report.to_dict() == printed(capsys, run, "--rollouts", 2, "--seed", 3)


def test_metrics_and_baselines_are_found_by_name_and_show_prints_tables(run, capsys):
    report = mtrack_eval.evaluate(run, rollouts=1)
    assert (report.metrics["mpkpe_local"], report.units["mpkpe_local"]) == (report.policy.average["mpkpe_local"], "mm")
    assert set(report.baselines) == {"statue", "zero_action"}
    report.show()
    assert "Clips, worst first" in capsys.readouterr().out


def test_episodes_return_a_report_of_episodes(run):
    report = mtrack_eval.evaluate(run, episodes=2)
    assert isinstance(report, EpisodeReport)
    assert report.policy.episodes == 2
    assert report.metrics["length"] == report.to_dict()["average"]["length"] > 0


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"rollouts": 0}, MtrackError, "rollouts must be at least 1, not 0"),
        ({"episodes": -1}, MtrackError, "episodes must be at least 1, not -1"),
        ({"seed": -1}, MtrackError, "seed must be at least 0, not -1"),
        ({"rollouts": 1, "episodes": 1}, MtrackError, "exclude each other"),
        ({"actor": "student"}, MtrackError, "actor 'student' has not been trained"),
        ({"motions": "missing"}, MtrackError, "missing: no such file"),
        ({"overrides": ["num_env=3"]}, RecipeError, "num_env"),
    ],
)
def test_invalid_arguments_raise(run, arguments, error, message):
    with pytest.raises(error, match=message):
        mtrack_eval.evaluate(run, **arguments)


def test_a_directory_that_is_not_a_run_raises(tmp_path):
    with pytest.raises(CheckpointError, match=r"recipe\.toml is missing"):
        mtrack_eval.evaluate(tmp_path)


def test_the_function_takes_every_option_of_the_command():
    renamed = {"runs": "run", "set_": "overrides", "plugin": "plugins", "strip": "strips"}
    options = [renamed.get(name, name) for name in inspect.signature(command).parameters]
    of_several_runs_or_output = {"against", "again", "as_json"}
    parameters = inspect.signature(mtrack_eval.evaluate).parameters
    assert {*options, "store"} - of_several_runs_or_output == set(parameters), (
        "the command always stores the evaluation"
    )
    text = inspect.getdoc(mtrack_eval.evaluate) or ""
    assert "Raises:" in text
    assert all(f"\n    {name}: " in text for name in parameters)


def test_importing_the_package_does_not_import_torch():
    code = "import sys, mtrack_eval, mtrack_eval.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
