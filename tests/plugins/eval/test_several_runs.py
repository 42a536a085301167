"""Several runs have the same rollouts, stored evaluations are used again, and a bad run stops no other."""

from __future__ import annotations

import json
import logging
import shutil

import pytest
import torch
from support.untrained_run import make_run, save_checkpoint

from mtrack import load_recipe
from mtrack.cli import main
from mtrack.registry.registry import Registry
from mtrack_eval import several_runs
from mtrack_eval.evaluated_run import EvalOptions, open_run
from mtrack_eval.pairing import draws_hash
from mtrack_eval.rollouts import AT_THE_END, prepare
from mtrack_eval.several_runs import evaluate_runs

DRAWS = "randomizations.motor_gains.enabled=true"
TWO = EvalOptions(rollouts=2)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return two runs of different seeds and weights, with short clips, and a copy of the first."""
    folder = tmp_path_factory.mktemp("runs")
    first, second = (make_run(folder / f"seed_{n}", DRAWS, f"seed={n}", clips=(12,)) for n in (1, 2))
    for old in (second / "checkpoints").iterdir():
        shutil.rmtree(old)
    save_checkpoint(second, load_recipe(str(second / "recipe.toml")), iteration=2)
    for run in (first, second):
        shutil.copy(next((run / "checkpoints").iterdir()) / "manifest.json", run)
    copy = shutil.copytree(first, folder.parent / f"{folder.name}_copy" / "seed_1")
    return first, second, copy


def command(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main(["eval", *map(str, arguments), "--no-plots"])
    out, err = capsys.readouterr()
    return ended.value.code or 0, out, err


def started(run, seed):
    """Return the joints, velocities and gains with which the rollouts of a run start, and the hash of its draws."""
    arena = prepare(open_run(run, EvalOptions(rollouts=2, seed=seed), Registry.scan()))
    arena.command.pin_clips(torch.zeros(2, dtype=torch.int64))
    arena.env.start(progress=AT_THE_END)
    state = arena.env.backend.state_dict()
    return {name: value.clone() for name, value in state.items() if isinstance(value, torch.Tensor)}, draws_hash(
        arena.generators
    )


def test_runs_of_different_seeds_start_from_equal_states(runs):
    (first, draws), (second, others), (third, unlike) = started(runs[0], 0), started(runs[1], 0), started(runs[1], 7)
    assert first.keys() == second.keys()
    assert len(first) > 0
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert draws == others != unlike
    assert any(not torch.equal(second[name], third[name]) for name in second), "another seed draws other gains"


def test_a_run_does_not_differ_from_its_copy_and_two_groups_are_compared(runs, capsys):
    first, second, copy = runs
    status, out, err = command(capsys, first, "--against", copy, second, "--rollouts", 2, "--json")
    assert status == 0, err
    found = json.loads(out)
    assert found["is_paired"]
    assert [note.partition(" (")[0] for note in found["notes"]] == ["the runs differ in the trained frames"]
    first_group, second_group = found["average"]["mpkpe_local"]["groups"]
    (own,), (copied, other) = first_group["values"], second_group["values"]
    assert own == copied != other
    for metric in found["clips"][0].values():
        if isinstance(metric, dict):
            assert metric["groups"][0]["values"][0] == metric["groups"][1]["values"][0]
            assert metric["verdict"] in ("too few runs to say", "unknown")
    stored = [json.loads((run / "eval_teacher.json").read_text()) for run in runs]
    assert [each["conditions"]["seed"] for each in stored] == [0, 0, 0]
    assert stored[0]["draws"] == stored[1]["draws"]
    assert stored[0]["clips"][0]["rollouts"] == stored[2]["clips"][0]["rollouts"]
    assert len(stored[0]["clips"][0]["rollouts"]["mpkpe_local"]) == 2


def test_a_stored_evaluation_is_used_unless_anything_has_changed(runs, monkeypatch):
    places = list(runs[:2])
    first = evaluate_runs(places, TWO)

    def not_again(*_, **__):
        pytest.fail("it was rolled out again")

    with monkeypatch.context() as patch:
        patch.setattr(several_runs, "evaluate_run", not_again)
        again = evaluate_runs(places, TWO)
    for run in places:
        assert again.found[run]["clips"] == json.loads(json.dumps(first.found[run]["clips"]))
    evaluated = []
    monkeypatch.setattr(several_runs, "evaluate_run", lambda run, options, *_, **__: evaluated.append(run) or Report())
    others = (EvalOptions(rollouts=3), EvalOptions(rollouts=2, seed=5), EvalOptions(rollouts=2, noise=True))
    for options in others:
        evaluate_runs(places[:1], options)
    evaluate_runs(places[:1], TWO, again=True)
    save_checkpoint(runs[1], load_recipe(str(runs[1] / "recipe.toml")), iteration=3)
    evaluate_runs(places[1:], TWO)
    assert evaluated == [places[0]] * 4 + [places[1]]
    shutil.rmtree(runs[1] / "checkpoints" / "train-0000003")


class Report:
    def to_dict(self):
        return {}


def test_a_run_that_cannot_be_evaluated_is_named_and_the_others_are_reported(runs, tmp_path, capsys):
    broken = shutil.copytree(runs[0], tmp_path / "broken")
    shutil.rmtree(broken / "checkpoints")
    status, out, err = command(capsys, runs[0], broken, runs[1], "--rollouts", 2)
    assert status == 2
    assert "2 runs: seed_1, seed_2" in out
    assert "1 of 3 runs could not be scored and are left out:\n  broken: " in err
    assert "has no checkpoint" in err
    status, out, err = command(capsys, broken, tmp_path / "missing", "--json")
    assert (status, out) == (2, "")
    assert "has no checkpoint" in err


def test_a_folder_of_runs_counts_as_its_runs_and_each_run_once(runs, capsys, caplog):
    caplog.set_level(logging.INFO)
    status, out, _ = command(capsys, runs[0].parent, "--rollouts", 2)
    assert status == 0
    assert f"{runs[0].parent.name}: 2 runs: seed_1, seed_2" in out
    status, _, err = command(capsys, runs[0].parent, "--against", runs[1])
    assert status == 2
    assert f"{runs[1]} is given twice" in err
