"""`mtrack eval` on a run directory with an untrained agent and short clips."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace

import attrs
import pytest
import torch
from support.clips import swaying_clip

from mtrack import checkpoint
from mtrack.assemble import assemble
from mtrack.cli import main
from mtrack.exchange import StartState
from mtrack.provenance import manifest
from mtrack.registry import Registry
from mtrack.state import component_state
from mtrack_dev.testing import small_recipe as recipe
from mtrack_eval.rollouts import Rollouts, prepare
from mtrack_eval.strips import draw_strips
from mtrack_eval.subject import Wishes, open_run
from mtrack_g1.robot import G1
from mtrack_motion.file import write_clip

METRICS = [
    "success_body", "success_height", "progress", "mpkpe_world", "mpkpe_root", "mpkpe_local", "mpkpe_yaw",
    "joint_error", "joint_vel_error", "velocity_error", "acceleration_error", "velocity_error_per_frame",
    "acceleration_error_per_frame", "root_height_error", "root_rot_error", "foot_contact", "action_rate", "torque_use",
    "energy",
]  # fmt: skip
PHYSICAL = {"action_rate", "torque_use", "energy"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a run directory of two clips: 12 and 20 frames at 50 frames a second."""
    directory = tmp_path_factory.mktemp("run")
    (directory / "clips").mkdir()
    for frames in (12, 20):
        write_clip(directory / "clips" / f"sway{frames}.npz", swaying_clip(frames=frames, name=f"sway{frames}"))
    clips = ("motions.builtin.use='motion_files'", f"motions.builtin.path='{directory / 'clips'}'")
    made = recipe("g1_tracking_quick", "num_envs=2", "randomizations.motor_gains.enabled=true", *clips)
    (directory / "recipe.toml").write_text(made.resolved_toml())
    agent = made.agent.build()
    agent.build(assemble(made, "train").layout)
    facts = manifest(made) | {"phase": "train", "trained_by": "train", "previous": None, "iteration": 1, "frames": 640}
    facts |= {"frames_before": 0, "ended": False}
    checkpoint.save(directory / "checkpoints", "train-0000001", facts, {"agent": component_state(agent)})
    return directory


@pytest.fixture(autouse=True)
def same_number_of_threads():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def evaluate(*arguments, code=0):
    with pytest.raises(SystemExit) as ended:
        main(["eval", *map(str, arguments)])
    assert (ended.value.code or 0) == code


def test_json_has_every_metric_of_every_clip_and_of_the_baselines(run, capsys):
    evaluate(run, "--rollouts", 2, "--json", "--no-figures")
    told = json.loads(capsys.readouterr().out)
    assert list(told["units"]) == METRICS
    assert list(told["average"]) == METRICS
    assert {clip["clip"]: clip["frames"] for clip in told["clips"]} == {"sway12": 11, "sway20": 19}
    assert all(set(METRICS) < clip.keys() for clip in told["clips"])
    assert set(told["baselines"]) == {"statue", "zero_action"}
    assert all(value is not None for value in told["average"].values())
    statue = told["baselines"]["statue"]["average"]
    assert {name for name, value in statue.items() if value is None} == PHYSICAL
    assert told["actor"] == "teacher"
    assert told["conditions"]["randomizations"] == ["motor_gains"]
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
    assert "drawn for each rollout: motor_gains" in text
    assert "observation noise: off   start noise: off   pushes: off   terminations: off" in text
    assert text.count("statue ") == text.count("zero_action") == 3, "for both clips and in the averages"
    for name in ("eval_errors.png", "learning_curves.png"):
        assert (run / name).read_bytes().startswith(b"\x89PNG")


def test_noise_and_overrides_are_told(run):
    subject = open_run(run, Wishes(noise=True, overrides=("randomizations.push.use='push'",)), Registry.scan())
    on = subject.conditions()
    assert (on["observation_noise"], on["start_noise"], on["pushes"]) == (True, 0.3, ["push"])


def test_a_statue_is_frame_0_held_against_the_whole_clip(run):
    arena = prepare(open_run(run, Wishes(), Registry.scan()), rollouts=1)
    library = arena.command.library
    poses = library.gather(torch.arange(12, 32))
    joints = (poses.joint_pos[1:] - poses.joint_pos[0]).abs().mean()
    statue = arena.statue()
    assert arena.names == ("sway12", "sway20")
    assert float(statue.values["joint_error"][1, 0]) == pytest.approx(float(joints), rel=1e-4)
    assert statue.frames.tolist() == [[11.0], [19.0]]


class Puppet:
    """A backend whose robot is carried to where its reference will be when the step is over."""

    def __init__(self, backend, command):
        self.backend, self.command = backend, command

    def __getattr__(self, name):
        return getattr(self.backend, name)

    def step(self, target, last):
        self.backend.step(target, last)
        if last:
            library, command = self.command.library, self.command
            frames = library.start[command.clip] + (command.frame + 1).minimum(library.length[command.clip] - 1)
            there = library.gather(frames)
            state = {field.name: getattr(there, field.name) for field in attrs.fields(StartState)}
            everything = torch.arange(len(frames))
            self.backend.set_state(everything, StartState(**state))
            self.backend.forward(everything, there.joint_pos)


def test_state_and_reference_are_compared_at_equal_times(run):
    arena = prepare(open_run(run, Wishes(), Registry.scan()), rollouts=2)
    arena.env = attrs.evolve(arena.env, backend=Puppet(arena.env.backend, arena.command))
    perfect = arena.policy()
    assert float(perfect.values["mpkpe_world"].max()) < 0.01, "mm"
    assert float(perfect.values["joint_vel_error"].max()) < 1e-4
    assert perfect.frames.tolist() == [[11.0, 11.0], [19.0, 19.0]]
    assert perfect.values["success_body"].tolist() == perfect.values["progress"].tolist() == [[1.0, 1.0]] * 2


def test_poses_for_strips_are_of_equal_times_from_the_first_to_the_last_frame(run, monkeypatch):
    monkeypatch.setattr("mtrack_eval.rollouts._MOST_ROWS", 1)  # one clip after the other
    arena = prepare(open_run(run, Wishes(), Registry.scan()), rollouts=1)
    assert arena.policy().poses is None, "only where they are wanted"
    arena.env = attrs.evolve(arena.env, backend=Puppet(arena.env.backend, arena.command))
    robot, reference = arena.policy(num_poses=3).poses
    library = arena.command.library
    assert robot.shape == (3, 7 + 29, 2, 1)
    assert torch.allclose(robot, reference, atol=1e-5)
    for clip, frames in enumerate([(1, 6, 11), (1, 10, 19)]):
        there = library.gather(library.start[clip] + torch.tensor(frames))
        whole = torch.cat((there.root_pos, there.root_quat_wxyz, there.joint_pos), dim=1)
        assert torch.allclose(reference[:, :, clip, 0], whole, atol=1e-6)


def test_strips_are_drawn_of_the_worst_clips_in_place_of_older_ones(run, capsys, monkeypatch):
    monkeypatch.setattr("mtrack_view.strip._HEIGHT", 24)
    monkeypatch.setattr("mtrack_eval.evaluate._STRIPS", 1)
    folder = run / "eval_strips" / "teacher"
    folder.mkdir(parents=True)
    (folder / "of_an_older_evaluation.png").touch()
    evaluate(run, "--rollouts", 1, "--strip", "--json", "--no-figures")
    worst = json.loads(capsys.readouterr().out)["clips"][0]["clip"]
    (strip,) = folder.iterdir()
    assert strip.name == f"{worst}.png"
    assert strip.read_bytes().startswith(b"\x89PNG")


def test_a_strip_shows_the_worst_rollout_and_says_where_it_failed(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr("mtrack_eval.strips.draw_strip", lambda path, puppet, *rest: drawn.append(rest))
    poses = torch.zeros(2, 4, 36, 1, 3)
    poses += torch.arange(3.0)  # the number of the rollout
    poses[:, 3] = torch.nan  # the simulation broke
    errors = torch.full((10, 1, 3), 0.0)
    errors[:, 0, 1] = torch.arange(10.0)
    rollouts = Rollouts(
        values={"mpkpe_local": torch.tensor([[3.0, 1.0, 2.0]])},
        failed=torch.tensor([[False, True, False]]),
        frames=torch.tensor([[10.0, 5.0, 10.0]]),
        curves={"mpkpe_local": errors, "mpkpe_world": 2 * errors},
        poses=poses,
    )
    told = SimpleNamespace(actor="student", distance="mpkpe_local")
    (path,) = draw_strips(tmp_path / "s", G1(), [(0, "../a b")], rollouts, torch.tensor([10]), told, 0.02)
    ((take, panels, title, subtitle),) = drawn
    assert path == tmp_path / "s" / "_a_b.png"
    assert (take.poses == 1.0).all()
    assert [round(panel.time, 3) for panel in panels] == [0.02, 0.08, 0.14], "of four, the last is not known"
    assert panels[1].notes == ("mpkpe_local 3 mm", "mpkpe_world 6 mm")
    assert panels[2].notes[0] == "failed"
    assert [panel.is_bad for panel in panels] == [False, False, True]
    assert title == "../a b"
    assert subtitle.startswith("student, the worst of 3 rollouts fails at 0.12 s; ")


def test_clips_that_do_not_fit_at_once_are_played_in_turns(run, monkeypatch):
    monkeypatch.setattr("mtrack_eval.rollouts._MOST_ROWS", 1)
    arena = prepare(open_run(run, Wishes(), Registry.scan()), rollouts=1)
    assert arena.env.scene.num_envs == 1
    statue = arena.statue()
    assert statue.frames.tolist() == [[11.0], [19.0]]
    assert statue.curves["mpkpe_local"].shape == (19, 2, 1)


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
    assert "no usable checkpoint" in capsys.readouterr().err


def test_an_actor_that_was_not_trained_is_said_and_exits_2(run, capsys):
    evaluate(run, "--actor", "student", code=2)
    assert "actor 'student' has not been trained" in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, "nothing of the kind"])
def test_motions_nobody_knows_are_said_and_exit_2(run, tmp_path, capsys, content):
    path = tmp_path / "dance.txt"
    if content:
        path.write_text(content)
    evaluate(run, "--motions", path, code=2)
    told = capsys.readouterr().err
    assert str(path) in told
    assert ("no importer recognises it" if content else "there is no such file") in told


def test_a_task_without_clips_cannot_be_evaluated(run, tmp_path, capsys):
    toy = recipe("toy", "num_envs=2")
    (tmp_path / "recipe.toml").write_text(toy.resolved_toml())
    facts = json.loads((run / "checkpoints" / "train-0000001" / "manifest.json").read_text())
    del facts["files"], facts["format"]
    checkpoint.save(tmp_path / "checkpoints", "one", facts, {"agent": {}})
    evaluate(tmp_path, code=2)
    assert "plays no clips" in capsys.readouterr().err
