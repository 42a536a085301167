"""Compliant arms: intervals, calm clips and blends, what policy and rewards see, and resuming."""

from __future__ import annotations

import pytest
import torch
from support.following import ENV_IDS, Walks, following, start, step

from mtrack import NameProblem
from mtrack.loop.state import component_state, load_component_state
from mtrack_compliance import altered
from mtrack_compliance.compliance import Compliance
from mtrack_compliance.compliance_flag import ComplianceFlag
from mtrack_compliance.intervals import CompliantIntervals, place_intervals
from mtrack_g1.robot import G1
from mtrack_motion.rotations import quat_from_matrix
from mtrack_mujoco.kinematics import forward_kinematics
from mtrack_testing import random_scene
from mtrack_tracking.reference_joints import ReferenceJointPos
from mtrack_tracking.rewards import JointPosTracking, KeypointPosTracking

ALWAYS = {"probability": 1.0, "limb_probability": 1.0}


def yielding(num_envs=8, seed=0, lengths=(400,), motions=None, command=None, **params):
    """Return a command, its scene and a compliance that is bound to them, all environments started."""
    follows, scene = following(lengths, num_envs=num_envs, motions=motions, **(command or {}))
    compliance = Compliance(**params)
    compliance.rng = torch.Generator().manual_seed(seed)
    compliance.bind(scene)
    follows.change_goal(compliance)
    restart(follows, compliance, torch.arange(num_envs))
    return follows, scene, compliance


def restart(command, compliance, ids=ENV_IDS):
    """Reset environments in the order of the environment loop."""
    compliance.reset(ids)
    return start(command, ids)


def middle_of_spans(command, compliance):
    """Move every environment to a frame in which its arms have the other pose."""
    spans, library = compliance.spans, compliance.command.library
    inside = (spans.begin + (spans.frames * spans.breaks.mean(1)).long()) - library.start[command.clip]
    command.frame.copy_(inside)
    command.publish()


def test_intervals_are_within_their_clips_and_have_the_given_lengths():
    length = torch.tensor([100, 300, 2000]).repeat(1000)
    uniform = torch.rand(3000, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    begin, frames, breaks = place_intervals(uniform, length, (100, 800), (0.3, 0.7))
    assert (begin >= 0).all()
    assert (begin + frames <= length).all()
    assert (frames[length == 100] == 100).all()
    for long, most in ((300, 300), (2000, 800)):
        drawn = frames[length == long]
        assert 100 <= drawn.min() < 110
        assert most - 10 < drawn.max() <= most
    assert breaks.min() >= 0.3
    assert breaks.max() <= 0.7
    assert (breaks[:, 0] <= breaks[:, 1]).all()


def test_the_blend_rises_holds_and_falls_smoothly():
    one = torch.ones(201)
    breaks = torch.tensor([[0.3, 0.6]]).expand(201, 2)
    spans = CompliantIntervals(100 * one.long(), 100 * one, breaks, one[:, None], one[:, None])
    frame = torch.arange(50, 251)
    share, change = spans.share(frame)
    assert not share[(frame <= 100) | (frame >= 200)].any()
    assert (share[(frame >= 130) & (frame <= 160)] == 1.0).all()
    assert (share[frame == 115] - 0.5).abs() < 1e-5
    assert (share[frame == 180] - 0.5).abs() < 1e-5
    assert share.diff().abs().max() < 0.06  # no jump
    torch.testing.assert_close(change[1:-1], (share[2:] - share[:-2]) / 2, rtol=0, atol=2e-3)


@pytest.mark.parametrize(
    ("wild", "suits"),
    [
        (lambda clip: None, True),
        (lambda clip: clip.root_pos.__setitem__((slice(50, 60), 2), 0.5), False),  # crouches
        (lambda clip: clip.root_pos.__setitem__((slice(50, None), 2), 0.9), False),  # rises
        (lambda clip: clip.root_pos.__setitem__((slice(50, None), 0), 30.0), False),  # is carried away
        (lambda clip: clip.joint_pos.__setitem__((slice(50, 60), slice(0, 6)), -1.8), False),  # lifts a foot
    ],
)
def test_arms_comply_only_in_clips_that_are_calm_in_every_frame(wild, suits):
    class Changed(Walks):
        allow_jumps = True

        def clip(self, robot, name, length):
            clip = super().clip(robot, name, length)
            wild(clip)
            return clip

    _, _, compliance = yielding(motions={"one": (1.0, Changed(300))}, **ALWAYS)
    assert compliance.suits.tolist() == [suits]
    assert bool(compliance.flags.any()) == suits


def test_arms_do_not_comply_in_a_clip_shorter_than_the_shortest_interval():
    _, _, compliance = yielding(lengths=(60, 120), num_envs=64, **ALWAYS)
    assert compliance.suits.tolist() == [False, True]
    assert 0 < compliance.flags[:, 0].sum() < 64


def test_environments_arms_and_poses_are_drawn_with_the_given_probabilities():
    _, _, compliance = yielding(num_envs=4000)
    flagged = compliance.flags[:, 0].bool()
    assert flagged.float().mean() == pytest.approx(0.75 * (1 - 0.3**2), abs=0.03)
    assert compliance.spans.limbs.mean().item() == pytest.approx(0.75 * 0.7, abs=0.03)
    middle = (compliance.spans.begin + (compliance.spans.frames / 2).long()).clamp_max(399)
    own = compliance.command.library.gather(middle).joint_pos[:, compliance.limbs.joints]
    assert (own == compliance.spans.pose).all(1).float().mean() == pytest.approx(0.2, abs=0.03)
    assert len(compliance.bank) == 20_000


def test_draws_are_kept_for_the_interval_and_only_the_strength_is_new_in_each_episode():
    command, _, compliance = yielding(interval=3)
    drawn, strength = compliance.drawn.clone(), compliance.strength.clone()
    compliance.age += 2
    restart(command, compliance)
    assert torch.equal(compliance.drawn, drawn)
    assert (compliance.strength != strength).all()
    assert (compliance.strength >= 10).all()
    assert (compliance.strength <= 20).all()
    compliance.age[2:4] += 1
    restart(command, compliance, torch.tensor([0, 2]))
    same = (compliance.drawn == drawn).all(1)
    assert same.tolist() == [True, True, False, True, True, True, True, True]  # environment 3 was not reset
    assert compliance.age.tolist() == [2, 2, 0, 3, 2, 2, 2, 2]


def test_the_policy_observes_the_motion_and_a_flag():
    command, scene, compliance = yielding(**ALWAYS)
    middle_of_spans(command, compliance)
    plain, its_scene = following((400,))
    plain.clip.copy_(command.clip)
    plain.frame.copy_(command.frame)
    plain.publish()
    term = ReferenceJointPos()
    term.bind(scene)
    assert torch.equal(term(scene), term(its_scene))
    assert torch.equal(scene.reference.future.body_pos, its_scene.reference.future.body_pos)
    assert not torch.equal(scene.reference.joint_pos, its_scene.reference.joint_pos)
    force = compliance.strength
    expected = torch.stack((torch.ones(8), force / 20.0, force / 0.05 / 400.0), dim=1)
    torch.testing.assert_close(ComplianceFlag()(scene), expected)


@pytest.mark.parametrize("reward", [JointPosTracking, KeypointPosTracking])
def test_rewards_compare_the_robot_with_the_other_pose(reward):
    command, scene, compliance = yielding(**ALWAYS, bank_probability=0.0)
    compliance.spans.pose.add_(0.5)
    middle_of_spans(command, compliance)
    term = reward()
    term.bind(scene)
    for source, is_best in (
        (scene.reference, True),
        (compliance.command.library.gather(scene.reference.frames[:, 0]), False),
    ):
        for name in ("joint_pos", "root_pos", "root_quat_wxyz", "body_pos", "body_quat_wxyz"):
            getattr(scene.robot, name).copy_(getattr(source, name))
        scene.robot.invalidate()
        assert bool((term(scene) > 0.99).all()) == is_best


def test_a_goal_with_other_arms_is_at_rest_after_the_end_of_its_clip():
    command, scene, compliance = yielding(**ALWAYS, span=(100, 150), lengths=(150,))
    compliance.spans.begin.add_(150 - (compliance.spans.begin + compliance.spans.frames.long()))  # to the very end
    command.frame.fill_(149)
    command.publish()
    assert (compliance.present.moves).all()
    assert scene.reference.body_lin_vel.abs().max() > 0.0
    for _ in range(3):
        step(command, scene)
        for name in ("joint_vel", "root_lin_vel", "root_ang_vel", "body_lin_vel", "body_ang_vel"):
            assert getattr(scene.reference, name).abs().max() == 0.0, name
        assert scene.reference.body_root[:, :, 1:3].abs().max() == 0.0


def test_bodies_of_the_goal_agree_with_the_engines_kinematics_before_and_after_resets():
    command, scene, compliance = yielding(num_envs=64, lengths=(300,))
    names = ("body_pos", "body_lin_vel", "body_ang_vel", "body_root", "body_rot")
    moved = 0
    for ids in (torch.arange(10), torch.arange(30, 64), torch.tensor([63])):
        for _ in range(7):
            step(command, scene)
        for name in names:
            getattr(scene.reference, name)  # so that the reset must keep it current
        restart(command, compliance, ids)
        goal = scene.reference
        root = (goal.root_pos, goal.root_quat_wxyz, goal.root_lin_vel, goal.root_ang_vel)
        wanted = forward_kinematics(G1(), *root, goal.joint_pos, goal.joint_vel)
        for name in names:
            torch.testing.assert_close(getattr(goal, name), getattr(wanted, name), rtol=0, atol=3e-5)
        torch.testing.assert_close(
            quat_from_matrix(goal.body_rot).abs(), wanted.body_quat_wxyz.abs(), rtol=0, atol=1e-5
        )
        torch.testing.assert_close(goal.body_quat_wxyz.abs(), wanted.body_quat_wxyz.abs(), rtol=0, atol=1e-5)
        some = goal.select(torch.tensor([5, 40]))
        assert torch.equal(some.joint_pos, goal.joint_pos[[5, 40]])
        torch.testing.assert_close(some.body_root, goal.body_root[[5, 40]], rtol=0, atol=1e-5)
        moved += len(compliance.present.moving)
    assert moved > 20


def test_computing_limbs_in_all_environments_gives_the_same_numbers(monkeypatch):
    names = ("joint_pos", "body_pos", "body_quat_wxyz", "body_lin_vel", "body_ang_vel", "body_root", "body_rot")
    found = []
    for all_rows in (False, True):
        monkeypatch.setattr(altered, "computes_all_envs", lambda device, all_rows=all_rows: all_rows)
        command, scene, compliance = yielding(num_envs=64, lengths=(300,))
        numbers = []
        for ids in (torch.arange(30, 64), torch.tensor([63])):
            for _ in range(7):
                step(command, scene)
            numbers += [getattr(scene.reference, name).clone() for name in names]
            restart(command, compliance, ids)
            goal = scene.reference
            numbers += [getattr(goal, name).clone() for name in names]
            numbers += [compliance.present.limbs_base.clone(), goal.select(ids).body_root]
        found.append(numbers)
        assert compliance.present.is_masked == all_rows
        assert 0 < compliance.present.moves.sum() < 64
    assert all(map(torch.equal, *found))


def test_velocities_of_the_goal_are_the_change_of_its_positions():
    command, scene, compliance = yielding(**ALWAYS, lengths=(400,))
    compliance.spans.pose.add_(0.5)
    command.frame.copy_(compliance.spans.begin + 20)
    poses = []
    for _ in range(3):
        step(command, scene)
        goal = scene.reference
        poses.append((goal.joint_pos.clone(), goal.joint_vel.clone(), goal.body_pos.clone(), goal.body_lin_vel.clone()))
    for value, change, tolerance in ((0, 1, 0.02), (2, 3, 0.02)):
        speed = (poses[2][value] - poses[0][value]) / (2 * scene.dt)
        torch.testing.assert_close(poses[1][change], speed, rtol=0, atol=tolerance)
    assert poses[1][1].abs().max() > 0.1


def test_outside_its_interval_the_goal_is_exactly_the_motion():
    _, scene, compliance = yielding(num_envs=64)
    still = ~compliance.present.moves
    assert 0 < still.sum() < 64
    motion = compliance.command.library.gather(scene.reference.frames[:, 0])
    for name in ("joint_pos", "joint_vel", "body_pos", "body_root", "body_lin_vel"):
        assert torch.equal(getattr(scene.reference, name)[still], getattr(motion, name)[still]), name
    legs = scene.model.joints("legs")
    assert torch.equal(scene.reference.joint_pos[:, legs], motion.joint_pos[:, legs])


def test_an_episode_that_starts_within_its_interval_starts_in_the_changed_pose():
    command, scene, compliance = yielding(num_envs=64, command={"start_noise": 0.0}, **ALWAYS)
    state = restart(command, compliance, torch.arange(64))
    low, high = command.start_states.joint_range.unbind(1)
    assert compliance.present.moves.any()
    torch.testing.assert_close(state.joint_pos, scene.reference.joint_pos.clamp(low, high))


def test_a_restored_compliance_continues_like_the_saved_one():
    command, scene, compliance = yielding(interval=2)
    for _ in range(3):
        step(command, scene)
    compliance.age += 3
    restart(command, compliance, torch.tensor([1, 2]))
    other, its_scene, restored = yielding(seed=0)
    restored.interval = 2
    for new, saved, path in ((other, command, "command"), (restored, compliance, "compliance")):
        load_component_state(new, component_state(saved), path)
    other.publish()
    for _ in range(4):
        for name in ("joint_pos", "joint_vel", "body_root"):
            assert torch.equal(getattr(its_scene.reference, name), getattr(scene.reference, name)), name
        assert torch.equal(its_scene.extras["compliance"], scene.extras["compliance"])
        ids = torch.tensor([0, 5])
        assert torch.equal(restart(other, restored, ids).joint_pos, restart(command, compliance, ids).joint_pos)
        step(command, scene)
        step(other, its_scene)


def test_a_command_without_a_motion_library_is_rejected():
    compliance = Compliance()
    compliance.rng = torch.Generator()
    with pytest.raises(NameProblem, match="motion_tracking"):
        compliance.bind(random_scene())
