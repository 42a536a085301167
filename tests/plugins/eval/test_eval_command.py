"""`mtrack eval` on a run directory with an untrained agent and short clips."""

from __future__ import annotations

import json
import shutil

import pytest
from support.clips import swaying_clip

from mtrack.cli import main
from mtrack.registry import Registry
from mtrack_eval.evaluated_run import Wishes, open_run

METRICS = [
    "success_body", "success_height", "progress", "mpkpe_world", "mpkpe_root", "mpkpe_local", "mpkpe_yaw",
    "joint_error", "joint_vel_error", "velocity_error", "acceleration_error", "velocity_error_per_frame",
    "acceleration_error_per_frame", "root_height_error", "root_rot_error", "foot_contact", "action_rate", "torque_use",
    "energy",
]  # fmt: skip


PHYSICAL = {"action_rate", "torque_use", "energy"}


def evaluate(*arguments, code=0):
    with pytest.raises(SystemExit) as ended:
        main(["eval", *map(str, arguments)])
    assert (ended.value.code or 0) == code


def test_json_has_every_metric_of_every_clip_and_of_the_baselines(run, capsys):
    evaluate(run, "--rollouts", 2, "--json", "--no-figures")
    printed = capsys.readouterr().out
    told = json.loads(printed)
    assert str(run.parent) not in printed, "an evaluation is shared, folders of the machine are not"
    assert (told["run"], told["checkpoint"]) == (run.name, f"{run.name}/checkpoints/train-0000001")
    assert list(told["units"]) == METRICS
    assert list(told["average"]) == METRICS
    assert {clip["clip"]: clip["frames"] for clip in told["clips"]} == {"sway12": 11, "sway20": 19}
    assert all(set(METRICS) < clip.keys() for clip in told["clips"])
    assert set(told["baselines"]) == {"statue", "zero_action"}
    assert all(value is not None for value in told["average"].values())
    statue = told["baselines"]["statue"]["average"]
    assert {name for name, value in statue.items() if value is None} == PHYSICAL
    assert told["actor"] == "teacher"
    assert [one["slot"] for one in told["conditions"]["randomizations"]] == ["motor_gains"]
    assert told["conditions"]["observation_noise"] is False
    assert told["failed_clips"] == [], "half a second is too short to fall"


def test_rollouts_differ_in_their_draws_and_a_seed_repeats_them(run, capsys):
    def spread(seed):
        evaluate(run, "--rollouts", 2, "--seed", seed, "--json", "--no-figures")
        told = json.loads(capsys.readouterr().out)
        return told["spread"]["mpkpe_local"], told["average"]

    first, again, other = spread(1), spread(1), spread(2)
    assert first[0] > 1e-4
    assert first == again
    assert first[1] != other[1]


def test_tables_say_what_is_on_and_show_the_baselines_and_figures_are_drawn(run, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "130")
    line = {"phase": "train", "iteration": 1, "iterations": 2, "frames": 320, "values": {"episode/length": 3.0}}
    (run / "metrics.jsonl").write_text(json.dumps(line | {"timings": {"frames_per_s": 1.0, "eta_s": 1.0}}) + "\n")
    evaluate(run, "--rollouts", 1)
    text = capsys.readouterr().out
    assert "\n  motor_gains, on reset: Scales stiffness, damping and rotor inertia of each joint's motor" in text
    assert "observation noise: off   start noise: off   terminations: off" in text
    assert text.count("statue ") == text.count("zero_action") == 3, "for both clips and in the averages"
    for name in ("eval_errors.png", "learning_curves.png"):
        assert (run / name).read_bytes().startswith(b"\x89PNG")


def test_noise_and_overrides_are_told(run):
    subject = open_run(run, Wishes(noise=True, overrides=("randomizations.push.use='push'",)), Registry.scan())
    on = subject.conditions()
    assert (on["observation_noise"], on["start_noise"]) == (True, 0.3)
    assert [one["slot"] for one in on["randomizations"]] == ["motor_gains", "push"]


def test_strips_are_drawn_of_the_worst_clips_in_place_of_older_ones(run, capsys, monkeypatch):
    monkeypatch.setattr("mtrack_view.strip._HEIGHT", 24)
    monkeypatch.setattr("mtrack_eval.evaluation._STRIPS", 1)
    folder = run / "eval_strips" / "teacher"
    folder.mkdir(parents=True)
    (folder / "of_an_older_evaluation.png").touch()
    evaluate(run, "--rollouts", 1, "--strip", "--json", "--no-figures")
    worst = json.loads(capsys.readouterr().out)["clips"][0]["clip"]
    (strip,) = folder.iterdir()
    assert strip.name == f"{worst}.png"
    assert strip.read_bytes().startswith(b"\x89PNG")


def test_given_motions_replace_those_of_the_recipe_foreign_ones_too(run, tmp_path, capsys):
    clip = swaying_clip(frames=12, fps=30.0, name="other")
    rows = zip(clip.root_pos, clip.root_quat_wxyz[:, [1, 2, 3, 0]], clip.joint_pos, strict=True)
    (tmp_path / "other.csv").write_text(
        "".join(",".join(f"{float(value):.9g}" for part in row for value in part) + "\n" for row in rows)
    )
    evaluate(run, "--motions", tmp_path / "other.csv", "--rollouts", 1, "--json", "--no-figures")
    assert [clip["clip"] for clip in json.loads(capsys.readouterr().out)["clips"]] == ["other"]


def test_what_is_no_run_is_said_and_exits_2(tmp_path, capsys):
    evaluate(tmp_path, code=2)
    assert "is no run directory: it has no recipe.toml" in capsys.readouterr().err


def test_a_run_without_a_checkpoint_is_said_and_exits_2(run, tmp_path, capsys):
    shutil.copy(run / "recipe.toml", tmp_path)
    evaluate(tmp_path, code=2)
    assert "has no checkpoint: the run ended before its first one" in capsys.readouterr().err


def test_an_actor_that_was_not_trained_is_said_and_exits_2(run, capsys):
    evaluate(run, "--actor", "student", code=2)
    assert "actor 'student' has not been trained" in capsys.readouterr().err


def test_every_actor_trained_on_the_way_may_be_scored(run, tmp_path, capsys):
    directory = tmp_path / "tuned"
    shutil.copytree(run, directory)
    path = directory / "checkpoints" / "train-0000001"
    manifest = json.loads((path / "manifest.json").read_text())
    path = path.rename(path.with_name("finetune-0000001"))
    manifest |= {"phase": "finetune", "trainers": ["train", "adapt", "finetune"]}  # the first two in other runs
    (path / "manifest.json").write_text(json.dumps(manifest))
    for actor in ("student", "teacher"):
        evaluate(directory, "--actor", actor, "--rollouts", 1, "--json", "--no-figures")
        assert json.loads(capsys.readouterr().out)["actor"] == actor


@pytest.mark.parametrize("content", [None, "nothing of the kind"])
def test_motions_nobody_knows_are_said_and_exit_2(run, tmp_path, capsys, content):
    path = tmp_path / "dance.txt"
    if content:
        path.write_text(content)
    evaluate(run, "--motions", path, code=2)
    told = capsys.readouterr().err
    assert str(path) in told
    assert ("is text without a table of numbers" if content else "there is no such file") in told


def test_a_policy_that_tracks_clips_may_be_scored_by_episodes_with_its_terminations(run, capsys):
    evaluate(run, "--episodes", 3, "--json", "--no-figures")
    facts = json.loads(capsys.readouterr().out)
    assert facts["episodes"] == 3
    assert "body_height" in facts["conditions"]["terminations"]
    assert "mpkpe_local" in facts["average"]
