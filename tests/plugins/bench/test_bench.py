"""`mtrack bench` measures a recipe, writes the result, and compares it with an earlier one."""

from __future__ import annotations

import io
import json
from functools import partial
from pathlib import Path

import attrs
import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from mtrack import Env, MtrackError
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.registry.registry import Registry
from mtrack.run.manifest import recipe_sha256
from mtrack_bench import sweep
from mtrack_bench.cli import bench
from mtrack_bench.compare import comparison, recipe_keys, require_comparable
from mtrack_bench.measure import BenchRound, Measurement, measure, rates
from mtrack_bench.report import Record, breakdown, overview, read
from mtrack_bench.sweep import run_bench

OLD = Path("old.json")
command_line = typer.Typer()
command_line.command()(bench)
TINY = ["num_envs=4", "phases.train.train_every=3", "phases.train.minibatches=2"]


@pytest.fixture(scope="module")
def measurement() -> Measurement:
    """Return the measurement of a tiny G1 recipe."""
    return measure(check_recipe(read_recipe("g1_tracking_quick", TINY), Registry.scan()))


@pytest.fixture
def record(measurement: Measurement) -> Record:
    """Return a record of one point."""
    recipe = check_recipe(read_recipe("g1_tracking_quick", TINY), Registry.scan())
    return Record({"processor": "one"}, {"torch": "2"}, recipe_keys(recipe), [measurement])


def printed(table: object) -> str:
    """Return a table as a wide terminal shows it."""
    console = Console(width=200, file=io.StringIO(), record=True)
    console.print(table)
    return console.export_text()


def test_rates_follow_from_the_seconds() -> None:
    found = rates(
        [BenchRound(1.0, 3.0, 2.0, 1.0), BenchRound(2.0, 6.0, 4.0, 1.0), BenchRound(1.0, 3.0, 2.0, 1.5)], 0.5, 100
    )
    assert (found["physics_steps_per_s"], found["env_steps_per_s"], found["train_frames_per_s"]) == (100, 50, 25)
    assert found["env_ratio"] == 0.5
    assert found["roofline_frames_per_s"] == pytest.approx(100 / 1.5)
    assert found["train_ratio"] == 1.5 / 4


def test_what_cannot_be_measured_is_none() -> None:
    found = rates([BenchRound(1.0, 3.0, 2.0, None)], None, 100)
    assert found["env_steps_per_s"] == 50
    assert found["env_ratio"] is None and found["physics_steps_per_s"] is None and found["train_ratio"] is None


def test_every_part_of_a_step_and_of_an_update_is_named(measurement: Measurement) -> None:
    observations = {f"step/observations.{group}" for group in ("policy", "priv", "critic_priv")}
    rest = {"step/physics", "step/derived quantities", "step/command", "step/rewards", "step/terminations"}
    update = {"update/policy and critic", "update/estimator", "update/advantages"}
    assert observations | rest | update | {"step/policy", "step/loop"} <= measurement.breakdown_ms.keys()
    assert all(milliseconds >= 0 for milliseconds in measurement.breakdown_ms.values())


def test_no_function_stays_wrapped(measurement: Measurement) -> None:
    assert measurement.num_envs == 4
    assert Env.step.__module__ == "mtrack.loop.env"
    assert not hasattr(Env.step, "__wrapped__")


def test_a_record_is_read_as_it_was_written(record: Record, tmp_path: Path) -> None:
    record.write(tmp_path / "measurement.json")
    assert read(tmp_path / "measurement.json") == record


@pytest.mark.parametrize(
    "text",
    [
        *("{", "[]", '{"machine": {}, "distributions": {}, "recipe": {}, "points": [{"speed": 3}]}'),
        '{"machine": {}, "distributions": {}, "recipe": {}, "points": []}',
    ],
)
def test_an_invalid_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "other.json").write_text(text)
    with pytest.raises(MtrackError, match=r"other\.json is not a record of this version"):
        read(tmp_path / "other.json")


@pytest.mark.parametrize("rate", [0.0, -1.0, "fast"])
def test_a_record_with_an_impossible_rate_is_rejected(record: Record, tmp_path: Path, rate: object) -> None:
    changed(record, env_steps_per_s=rate).write(tmp_path / "odd.json")
    with pytest.raises(MtrackError, match=f"env_steps_per_s is {rate}"):
        read(tmp_path / "odd.json")


def test_a_folder_that_cannot_be_written_is_rejected_before_measuring(tmp_path: Path) -> None:
    with pytest.raises(MtrackError, match="there is no directory"):
        run_bench("g1_tracking_quick", TINY, (), (), tmp_path / "absent" / "b.json", None, as_json=True)


def test_a_missing_file_is_reported_before_measuring(tmp_path: Path) -> None:
    with pytest.raises(MtrackError, match=r"cannot read .*absent\.json"):
        run_bench("g1_tracking_quick", TINY, (), (), None, tmp_path / "absent.json", as_json=True)


def changed(record: Record, **changes: object) -> Record:
    """Return a record whose only point is changed."""
    return attrs.evolve(record, points=[attrs.evolve(record.points[0], **changes)])


def test_rates_are_compared_size_by_size(record: Record, measurement: Measurement) -> None:
    slower = attrs.evolve(measurement, train_frames_per_s=measurement.train_frames_per_s / 2)
    before = attrs.evolve(record, points=[attrs.evolve(measurement, num_envs=99), slower])
    compared = comparison(record, before, OLD, 30.0)
    assert compared.table.row_count == 1
    assert "2.00" in printed(compared.table)
    assert compared.table.caption is None
    assert not compared.slower


@pytest.mark.parametrize("rate", ["physics_steps_per_s", "env_steps_per_s", "train_frames_per_s"])
def test_a_rate_that_drops_by_more_than_the_threshold_is_named(record: Record, rate: str) -> None:
    before = changed(record, **{rate: 1000.0})
    for now, threshold, falls in ((701.0, 30.0, False), (699.0, 30.0, True), (699.0, 31.0, False), (200.0, 0.0, True)):
        fallen = comparison(changed(record, **{rate: now}), before, OLD, threshold).slower
        assert [text.split(": ")[1].split(" is ")[0] for text in fallen] == [rate] * falls
    assert fallen == [f"4 environments, {record.points[0].threads} threads: {rate} is 200, was 1,000 (-80%)"]


@pytest.mark.parametrize(
    ("what", "other"), [("dtype", "bfloat16"), ("device", "cuda"), ("backend", "mtrack:mujoco_warp"), ("processes", 2)]
)
def test_a_size_that_was_measured_with_something_else_is_rejected(record: Record, what: str, other: object) -> None:
    with pytest.raises(MtrackError, match=rf"old\.json was measured with another {what}: {other} there"):
        comparison(record, changed(record, **{what: other}), OLD, 30.0)


def test_other_versions_are_noted(record: Record) -> None:
    before = attrs.evolve(record, distributions={"torch": "1"})
    assert "versions differ" in str(comparison(record, before, OLD, 30.0).table.caption)


def rejection(before: Record, machine: dict[str, object] | None = None, *overrides: str) -> str:
    """Return why a record is rejected for the tiny recipe with overrides."""
    recipe = check_recipe(read_recipe("g1_tracking_quick", [*TINY, *overrides]), Registry.scan())
    threads = [before.points[0].threads]
    with pytest.raises(MtrackError) as caught:
        require_comparable(OLD, before, machine or before.machine, [recipe], threads)
    return str(caught.value)


@pytest.mark.parametrize("fact", ["processor", "cpu_count", "gpu", "system"])
def test_a_record_of_another_machine_is_rejected(record: Record, fact: str) -> None:
    text = rejection(record, {**record.machine, fact: "this"})
    assert f"old.json was measured on another machine: {fact} is {record.machine.get(fact)} there and this here" in text


def test_a_record_of_another_recipe_is_rejected_with_the_keys_that_differ(record: Record) -> None:
    text = rejection(record, None, "agent.init_std=0.5", "rewards.tracking.root_pos.weight=9")
    assert "another recipe, g1_tracking_quick.toml: different agent.init_std, rewards.tracking.root_pos" in text
    assert "a different order" in rejection(changed(record, recipe_sha256="0" * 64))


def test_a_record_without_a_size_is_rejected_with_those_it_has(record: Record) -> None:
    assert "has no measurement of 4 environments" in rejection(changed(record, num_envs=99))
    assert "only of 99 on" in rejection(changed(record, num_envs=99))


def test_the_same_recipe_on_the_same_machine_is_accepted_and_a_record_contains_no_path(record: Record) -> None:
    recipe = check_recipe(read_recipe("g1_tracking_quick", TINY), Registry.scan())
    require_comparable(OLD, record, record.machine, [recipe], [record.points[0].threads])
    overrides = [*TINY, "motions.mine.use=motion_files", "motions.mine.path=/home/somebody/clips"]
    keys = recipe_keys(check_recipe(read_recipe("g1_tracking_quick", overrides), Registry.scan()))
    assert "motions.mine.path" in keys
    assert "somebody" not in json.dumps(keys)


def test_bench_fails_at_a_fifth_of_the_recorded_speed(
    measurement: Measurement, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "measure", lambda recipe: attrs.evolve(measurement, recipe_sha256=recipe_sha256(recipe)))
    out, fast = tmp_path / "b.json", tmp_path / "fast.json"
    tiny = ["g1_tracking_quick", *(part for override in TINY for part in ("--set", override))]
    run = partial(CliRunner().invoke, command_line)
    assert run([*tiny, "-o", str(out)]).exit_code == 0
    assert run([*tiny, "--compare", str(out)]).exit_code == 0
    content = json.loads(out.read_text())
    for point in content["points"]:
        point["env_steps_per_s"] *= 5
        point["train_frames_per_s"] *= 5
    fast.write_text(json.dumps(content))
    for more in ([], ["--json"]):
        done = run([*tiny, "--compare", str(fast), *more])
        assert done.exit_code == 1
        assert f"slower than in {fast} by more than 30 %: 4 environments" in done.stderr
        assert "env_steps_per_s is" in done.stderr
        assert "train_frames_per_s is" in done.stderr
    assert run([*tiny, "--compare", str(fast), "--threshold", "90"]).exit_code == 0
    done = run([*tiny, "--threshold", "50"])
    assert done.exit_code == 2
    assert "--compare" in done.stderr


def test_the_tables_name_what_could_not_be_measured(measurement: Measurement) -> None:
    unknown = attrs.evolve(measurement, env_ratio=None, train_ratio=None, physics_steps_per_s=None)
    assert printed(overview([unknown])).count(" - ") == 3
    assert "step/physics" in printed(breakdown([measurement, unknown]))


def test_a_sweep_measures_and_writes_every_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "sweep.json"
    run_bench("g1_tracking_quick", TINY[1:], (2, 4), (1,), out, None, as_json=True)
    points = json.loads(capsys.readouterr().out)["points"]
    assert [(point["num_envs"], point["threads"]) for point in points] == [(2, 1), (4, 1)]
    assert [point.num_envs for point in read(out).points] == [2, 4]
