"""The runs of a command line: groups and their names, folders of runs, and all values after `--against`."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.main import get_command

from mtrack import MtrackError
from mtrack_eval.run_arguments import AgainstRuns, RunGroupsCommand, run_groups, runs_in


def parsed(*arguments):
    found = {}

    def command(runs: list[Path], against: AgainstRuns = None, json: bool = False, rollouts: int = 8) -> None:
        found.update(runs=[*map(str, runs)], against=[*map(str, against or [])], json=json, rollouts=rollouts)

    app = typer.Typer(add_completion=False)
    app.command(cls=RunGroupsCommand)(command)
    with pytest.raises(SystemExit) as ended:
        get_command(app).main([*arguments], prog_name="mtrack")
    assert not ended.value.code
    return found


@pytest.mark.parametrize(
    "arguments",
    [
        "a b --against c d --rollouts 2 --json",
        "a b --json --rollouts 2 --against c d",
        "a b --rollouts 2 --against=c d --json",
        "a b --against c --against d --json --rollouts 2",
        "--rollouts 2 a --json b --against c d",
    ],
)
def test_all_values_after_against_belong_to_it_up_to_the_next_option(arguments):
    assert parsed(*arguments.split()) == {"runs": ["a", "b"], "against": ["c", "d"], "json": True, "rollouts": 2}


@pytest.mark.parametrize("arguments", ["a --against --json", "a --against"])
def test_against_needs_a_run(arguments):
    with pytest.raises(MtrackError, match="give at least one after it"):
        parsed(*arguments.split())


@pytest.fixture
def seeds(tmp_path):
    for name in ("base/seed_0", "base/seed_2", "base/seed_10", "new/seed_0", "new/notes", "alone"):
        (tmp_path / name).mkdir(parents=True)
        if "notes" not in name:
            (tmp_path / name / "manifest.json").write_text("{}")
    return tmp_path


def test_a_folder_of_runs_is_its_runs_in_the_order_of_their_numbers(seeds):
    assert [run.name for run in runs_in(seeds / "base")] == ["seed_0", "seed_2", "seed_10"]
    assert [run.name for run in runs_in(seeds / "new")] == ["seed_0"]
    assert runs_in(seeds / "alone") == [seeds / "alone"]
    assert runs_in(seeds / "missing") == [seeds / "missing"]


def test_groups_are_named_after_their_only_argument_or_a_and_b(seeds):
    groups = run_groups([seeds / "new"], [seeds / "base"])
    assert {name: list(runs) for name, runs in groups.items()} == {
        "new": ["new/seed_0"],
        "base": ["base/seed_0", "seed_2", "seed_10"],
    }
    assert list(run_groups([seeds / "new", seeds / "alone"], [seeds / "base"])) == ["A", "B"]
    assert list(run_groups([seeds / "base"], [])) == ["base"]
    assert list(run_groups([seeds / "alone", seeds / "new"], [])) == ["runs"]


def test_a_run_that_is_given_twice_is_rejected(seeds):
    for runs, against in (([seeds / "alone", seeds / "alone"], []), ([seeds / "new"], [seeds / "new" / "seed_0"])):
        with pytest.raises(MtrackError, match="is given twice; give each run once"):
            run_groups(runs, against)
