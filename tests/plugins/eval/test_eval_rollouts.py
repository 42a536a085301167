"""Rollouts of an evaluation compare state and reference at equal times, for metrics and for strips."""

from __future__ import annotations

from types import SimpleNamespace

import attrs
import pytest
import torch

from mtrack import StartState
from mtrack.registry.registry import Registry
from mtrack_eval.evaluated_run import EvalOptions, open_run
from mtrack_eval.rollouts import Rollouts, prepare
from mtrack_eval.strips import draw_strips
from mtrack_g1.robot import G1


def test_the_statue_compares_frame_0_with_the_whole_clip(run):
    arena = prepare(open_run(run, EvalOptions(rollouts=1), Registry.scan()))
    library = arena.command.library
    poses = library.gather(torch.arange(12, 32))
    joints = (poses.joint_pos[1:] - poses.joint_pos[0]).abs().mean()
    statue = arena.statue()
    assert arena.names == ("sway12", "sway20")
    assert float(statue.values["joint_error"][1, 0]) == pytest.approx(float(joints), rel=1e-4)
    assert statue.frames.tolist() == [[11.0], [19.0]]


class Follower:
    """A backend that moves the robot to the pose its reference has at the end of the step."""

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
    arena = prepare(open_run(run, EvalOptions(rollouts=2), Registry.scan()))
    arena.env = attrs.evolve(arena.env, backend=Follower(arena.env.backend, arena.command))
    perfect = arena.policy()
    assert float(perfect.values["mpkpe_world"].max()) < 0.01, "mm"
    assert float(perfect.values["joint_vel_error"].max()) < 1e-4
    assert perfect.frames.tolist() == [[11.0, 11.0], [19.0, 19.0]]
    assert perfect.values["success_body"].tolist() == perfect.values["progress"].tolist() == [[1.0, 1.0]] * 2


def test_poses_for_strips_have_equal_times_from_the_first_to_the_last_frame(run, monkeypatch):
    monkeypatch.setattr("mtrack_eval.rollouts._MAX_ENVS", 1)  # one clip per batch
    arena = prepare(open_run(run, EvalOptions(rollouts=1), Registry.scan()))
    assert arena.policy().poses is None, "only on request"
    arena.env = attrs.evolve(arena.env, backend=Follower(arena.env.backend, arena.command))
    robot, reference = arena.policy(num_poses=3).poses
    library = arena.command.library
    assert robot.shape == (3, 7 + 29, 2, 1)
    assert torch.allclose(robot, reference, atol=1e-5)
    for clip, frames in enumerate([(1, 6, 11), (1, 10, 19)]):
        there = library.gather(library.start[clip] + torch.tensor(frames))
        whole = torch.cat((there.root_pos, there.root_quat_wxyz, there.joint_pos), dim=1)
        assert torch.allclose(reference[:, :, clip, 0], whole, atol=1e-6)


def test_a_strip_shows_the_worst_rollout_and_says_where_it_failed(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr("mtrack_eval.strips.draw_strip", lambda path, puppet, *rest: drawn.append(rest))
    poses = torch.zeros(2, 4, 36, 1, 3)
    poses += torch.arange(3.0)  # the index of the rollout
    poses[:, 3] = torch.nan  # the simulation diverged
    errors = torch.full((10, 1, 3), 0.0)
    errors[:, 0, 1] = torch.arange(10.0)
    rollouts = Rollouts(
        values={"mpkpe_local": torch.tensor([[3.0, 1.0, 2.0]])},
        failed=torch.tensor([[False, True, False]]),
        frames=torch.tensor([[10.0, 5.0, 10.0]]),
        curves={"mpkpe_local": errors, "mpkpe_world": 2 * errors},
        poses=poses,
    )
    report = SimpleNamespace(actor="student", distance="mpkpe_local")
    (path,) = draw_strips(tmp_path / "s", G1(), [(0, "../a b")], rollouts, torch.tensor([10]), report, 0.02)
    ((take, panels, title, subtitle),) = drawn
    assert path == tmp_path / "s" / "_a_b.png"
    assert (take.poses == 1.0).all()
    assert [round(panel.time, 3) for panel in panels] == [0.02, 0.08, 0.14], "the last of four frames has no pose"
    assert panels[1].notes == ("mpkpe_local 3 mm", "mpkpe_world 6 mm")
    assert panels[2].notes[0] == "failed"
    assert [panel.is_bad for panel in panels] == [False, False, True]
    assert title == "../a b"
    assert subtitle.startswith("student, the worst of 3 rollouts fails at 0.12 s; ")


def test_clips_that_do_not_fit_at_once_are_played_in_batches(run, monkeypatch):
    monkeypatch.setattr("mtrack_eval.rollouts._MAX_ENVS", 1)
    arena = prepare(open_run(run, EvalOptions(rollouts=1), Registry.scan()))
    assert arena.env.scene.num_envs == 1
    statue = arena.statue()
    assert statue.frames.tolist() == [[11.0], [19.0]]
    assert statue.curves["mpkpe_local"].shape == (19, 2, 1)
