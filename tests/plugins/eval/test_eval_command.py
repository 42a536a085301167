"""`mtrack eval` on a run directory with an untrained agent and short clips."""

from __future__ import annotations

import json
import shutil

import pytest
from support.clips import swaying_clip

from mtrack.cli import main
from mtrack.registry.registry import Registry
from mtrack_eval.evaluated_run import EvalOptions, open_run

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


def test_json_contains_every_metric_of_every_clip_and_of_the_baselines(run, capsys):
    evaluate(run, "--rollouts", 2, "--json", "--no-plots")
    printed = capsys.readouterr().out
    report = json.loads(printed)
    assert str(run.parent) not in printed, "reports are shared and must not contain paths of this machine"
    assert (report["run"], report["checkpoint"]) == (run.name, f"{run.name}/checkpoints/train-0000001")
    assert list(report["units"]) == METRICS
    assert list(report["average"]) == METRICS
    assert {clip["clip"]: clip["frames"] for clip in report["clips"]} == {"sway12": 11, "sway20": 19}
    assert all(set(METRICS) < clip.keys() for clip in report["clips"])
    assert set(report["baselines"]) == {"statue", "zero_action"}
    assert all(value is not None for value in report["average"].values())
    statue = report["baselines"]["statue"]["average"]
    assert {name for name, value in statue.items() if value is None} == PHYSICAL
    assert report["actor"] == "teacher"
    assert [one["slot"] for one in report["conditions"]["randomizations"]] == ["motor_gains"]
    assert report["conditions"]["observation_noise"] is False
    assert report["failed_clips"] == [], "half a second is too short to fall"


def test_rollouts_differ_in_their_random_draws_and_are_reproducible_by_the_seed(run, capsys):
    def spread(seed):
        evaluate(run, "--rollouts", 2, "--seed", seed, "--json", "--no-plots")
        report = json.loads(capsys.readouterr().out)
        return report["spread"]["mpkpe_local"], report["average"]

    first, again, other = spread(1), spread(1), spread(2)
    assert first[0] > 1e-4
    assert first == again
    assert first[1] != other[1]


def test_tables_show_conditions_and_baselines_and_plots_are_drawn(run, capsys, monkeypatch):
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


def test_noise_and_overrides_appear_in_the_conditions(run):
    opened = open_run(run, EvalOptions(noise=True, overrides=("randomizations.push.use='push'",)), Registry.scan())
    on = opened.conditions()
    assert (on["observation_noise"], on["start_noise"]) == (True, 0.3)
    assert [one["slot"] for one in on["randomizations"]] == ["motor_gains", "push"]


def test_strips_of_the_worst_clips_replace_older_ones(run, capsys, monkeypatch):
    monkeypatch.setattr("mtrack_view.strip._HEIGHT", 24)
    monkeypatch.setattr("mtrack_eval.evaluation._STRIPS", 1)
    folder = run / "eval_strips" / "teacher"
    folder.mkdir(parents=True)
    (folder / "of_an_older_evaluation.png").touch()
    evaluate(run, "--rollouts", 1, "--strip", "--json", "--no-plots")
    worst = json.loads(capsys.readouterr().out)["clips"][0]["clip"]
    (strip,) = folder.iterdir()
    assert strip.name == f"{worst}.png"
    assert strip.read_bytes().startswith(b"\x89PNG")


def test_motions_option_replaces_the_recipes_clips_and_imports_other_formats(run, tmp_path, capsys):
    clip = swaying_clip(frames=12, fps=30.0, name="other")
    lines = zip(clip.root_pos, clip.root_quat_wxyz[:, [1, 2, 3, 0]], clip.joint_pos, strict=True)
    (tmp_path / "other.csv").write_text(
        "".join(",".join(f"{float(value):.9g}" for part in line for value in part) + "\n" for line in lines)
    )
    evaluate(run, "--motions", tmp_path / "other.csv", "--rollouts", 1, "--json", "--no-plots")
    assert [clip["clip"] for clip in json.loads(capsys.readouterr().out)["clips"]] == ["other"]


def test_a_directory_that_is_not_a_run_is_rejected_with_exit_status_2(tmp_path, capsys):
    evaluate(tmp_path, code=2)
    assert "is not a run directory: recipe.toml is missing" in capsys.readouterr().err


def test_a_run_without_checkpoint_is_rejected_with_exit_status_2(run, tmp_path, capsys):
    shutil.copy(run / "recipe.toml", tmp_path)
    evaluate(tmp_path, code=2)
    assert "has no checkpoint: the run ended before its first one" in capsys.readouterr().err


def test_an_untrained_actor_is_rejected_with_exit_status_2(run, capsys):
    evaluate(run, "--actor", "student", code=2)
    assert "actor 'student' has not been trained" in capsys.readouterr().err


def test_every_actor_that_an_earlier_phase_trained_can_be_scored(run, tmp_path, capsys):
    directory = tmp_path / "tuned"
    shutil.copytree(run, directory)
    path = directory / "checkpoints" / "train-0000001"
    manifest = json.loads((path / "manifest.json").read_text())
    path = path.rename(path.with_name("finetune-0000001"))
    manifest |= {
        "phase": "finetune",
        "phase_history": ["train", "adapt", "finetune"],
    }  # other runs trained the first two
    (path / "manifest.json").write_text(json.dumps(manifest))
    for actor in ("student", "teacher"):
        evaluate(directory, "--actor", actor, "--rollouts", 1, "--json", "--no-plots")
        assert json.loads(capsys.readouterr().out)["actor"] == actor


@pytest.mark.parametrize("content", [None, "not a motion"])
def test_unreadable_motions_are_rejected_with_exit_status_2(run, tmp_path, capsys, content):
    path = tmp_path / "dance.txt"
    if content:
        path.write_text(content)
    evaluate(run, "--motions", path, code=2)
    message = capsys.readouterr().err
    assert str(path) in message
    assert ("is text without a table of numbers" if content else "no such file") in message


def test_a_task_with_clips_can_be_scored_by_episodes_with_its_terminations(run, capsys):
    evaluate(run, "--episodes", 3, "--json", "--no-plots")
    facts = json.loads(capsys.readouterr().out)
    assert facts["episodes"] == 3
    assert "body_height" in facts["conditions"]["terminations"]
    assert "mpkpe_local" in facts["average"]
