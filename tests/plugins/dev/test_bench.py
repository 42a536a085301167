"""`mtrack bench` measures what it says, keeps it, and compares it with what it kept before."""

from __future__ import annotations

import io
import json
from pathlib import Path

import attrs
import pytest
from rich.console import Console

from mtrack.env import Env
from mtrack.errors import MtrackError
from mtrack.recipe import load_recipe
from mtrack.registry import Registry
from mtrack.structure import check_recipe
from mtrack_dev.bench import Figures, Round, measure, rates
from mtrack_dev.bench_report import Record, breakdown, comparison, overview, read
from mtrack_dev.sweep import run_bench

TINY = ["num_envs=4", "phases.train.train_every=3", "phases.train.minibatches=2"]


@pytest.fixture(scope="module")
def figures() -> Figures:
    """Return what is measured of a tiny G1 job."""
    return measure(check_recipe(load_recipe("g1_tracking_quick", TINY), Registry.scan()))


@pytest.fixture
def record(figures: Figures) -> Record:
    """Return a record of one point."""
    return Record({"processor": "one"}, {"torch": "2"}, [figures])


def printed(table: object) -> str:
    """Return a table as a wide terminal shows it."""
    console = Console(width=200, file=io.StringIO(), record=True)
    console.print(table)
    return console.export_text()


def test_rates_follow_from_the_seconds() -> None:
    found = rates([Round(1.0, 3.0, 2.0, 1.0), Round(2.0, 6.0, 4.0, 1.0), Round(1.0, 3.0, 2.0, 1.5)], 0.5, 100)
    assert (found["physics_steps_per_s"], found["env_steps_per_s"], found["train_frames_per_s"]) == (100, 50, 25)
    assert found["env_ratio"] == 0.5
    assert found["roofline_frames_per_s"] == pytest.approx(100 / 1.5)
    assert found["train_ratio"] == 1.5 / 4


def test_what_cannot_be_measured_has_no_figure() -> None:
    found = rates([Round(1.0, 3.0, 2.0, None)], None, 100)
    assert found["env_steps_per_s"] == 50
    assert found["env_ratio"] is None and found["physics_steps_per_s"] is None and found["train_ratio"] is None


def test_every_part_of_a_step_and_of_an_update_is_named(figures: Figures) -> None:
    observations = {f"step/observations.{group}" for group in ("policy", "priv", "critic_priv")}
    rest = {"step/physics", "step/derived quantities", "step/command", "step/rewards", "step/terminations"}
    update = {"update/policy and critic", "update/estimator", "update/advantages"}
    assert observations | rest | update | {"step/policy", "step/loop"} <= figures.breakdown_ms.keys()
    assert all(milliseconds >= 0 for milliseconds in figures.breakdown_ms.values())


def test_nothing_listens_any_more(figures: Figures) -> None:
    assert figures.num_envs == 4
    assert Env.step.__module__ == "mtrack.env"
    assert not hasattr(Env.step, "__wrapped__")


def test_what_was_kept_is_read_again(record: Record, tmp_path: Path) -> None:
    record.write(tmp_path / "figures.json")
    assert read(tmp_path / "figures.json") == record


@pytest.mark.parametrize("text", ["{", "[]", '{"machine": {}, "distributions": {}, "points": [{"speed": 3}]}'])
def test_a_file_of_another_kind_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "other.json").write_text(text)
    with pytest.raises(MtrackError, match=r"other\.json is not what `mtrack bench -o`"):
        read(tmp_path / "other.json")


def test_a_missing_file_is_told_before_anything_is_measured(tmp_path: Path) -> None:
    with pytest.raises(MtrackError, match=r"cannot read .*absent\.json"):
        run_bench("g1_tracking_quick", TINY, (), (), None, tmp_path / "absent.json", as_json=True)


def test_rates_are_compared_size_by_size(record: Record, figures: Figures) -> None:
    slower = attrs.evolve(figures, train_frames_per_s=figures.train_frames_per_s / 2)
    before = attrs.evolve(record, points=[attrs.evolve(figures, num_envs=99), slower])
    table = comparison(record, before)
    assert table.row_count == 1
    assert "2.00" in printed(table)
    assert table.caption is None


def test_another_machine_is_pointed_out(record: Record) -> None:
    assert "differ" in str(comparison(record, attrs.evolve(record, machine={"processor": "another"})).caption)


def test_without_a_common_size_it_says_which_there_are(record: Record, figures: Figures) -> None:
    with pytest.raises(MtrackError, match="the other record has 99 on"):
        comparison(record, attrs.evolve(record, points=[attrs.evolve(figures, num_envs=99)]))


def test_the_tables_name_what_could_not_be_measured(figures: Figures) -> None:
    unknown = attrs.evolve(figures, env_ratio=None, train_ratio=None, physics_steps_per_s=None)
    assert printed(overview([unknown])).count(" - ") == 3
    assert "step/physics" in printed(breakdown([figures, unknown]))


def test_a_sweep_measures_every_size_and_keeps_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "sweep.json"
    run_bench("g1_tracking_quick", TINY[1:], (2, 4), (1,), out, None, as_json=True)
    points = json.loads(capsys.readouterr().out)["points"]
    assert [(point["num_envs"], point["threads"]) for point in points] == [(2, 1), (4, 1)]
    assert [point.num_envs for point in read(out).points] == [2, 4]
