"""The joint position action scales, clips, delays, filters and holds."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from mtrack import NameProblem, Scene
from mtrack_body.action import JointPosition
from mtrack_body.delay import draw_delays
from mtrack_testing import g1_model, mirror_scene, random_scene

PLAIN: dict[str, Any] = {"scale": 1.0, "filter_alpha": 1.0, "max_delay": 0, "boot_hold": 0}


def bound(scene: Scene, **params: Any) -> JointPosition:
    action = JointPosition(**params)
    action.rng = torch.Generator().manual_seed(0)
    action.bind(scene)
    action.reset(torch.arange(scene.num_envs))
    return action


def targets(action: JointPosition, raw: torch.Tensor, steps: int = 1, decimation: int = 4) -> torch.Tensor:
    """Return the targets of every substep, [steps * decimation, N, J]."""
    result = []
    for _ in range(steps):
        action.apply(raw)
        result += [action.target(k).clone() for k in range(decimation)]
    return torch.stack(result)


def test_target_is_default_plus_offset_plus_scaled_action() -> None:
    scene = random_scene(4)
    action = bound(scene, **{**PLAIN, "scale": 0.5})
    expected = scene.model.default_joint_pos + scene.robot.joint_offset + 0.5 * scene.action
    torch.testing.assert_close(targets(action, scene.action)[0], expected)


def test_default_scale_is_one_for_arms_and_half_for_legs_and_waist() -> None:
    action = bound(random_scene(2))
    scales = dict(zip(action.names, action.scales.tolist(), strict=True))
    assert {scales[f"left_{n}_joint"] for n in ("shoulder_yaw", "elbow", "wrist_pitch")} == {1.0}
    assert {scales[n] for n in ("right_knee_joint", "left_ankle_roll_joint", "waist_yaw_joint")} == {0.5}


def test_effort_scale_is_a_quarter_of_effort_over_stiffness() -> None:
    scene = random_scene(2)
    action = bound(scene, scale="effort")
    torch.testing.assert_close(action.scales, 0.25 * scene.model.effort_limit / scene.model.stiffness)


def test_later_scale_entries_override_earlier_ones() -> None:
    action = bound(random_scene(2), scale={".*": 0.2, "waist": 0.7, "left_knee_joint": 0.9})
    scales = dict(zip(action.names, action.scales.tolist(), strict=True))
    assert scales["waist_yaw_joint"] == pytest.approx(0.7)
    assert scales["left_knee_joint"] == pytest.approx(0.9)
    assert scales["right_knee_joint"] == pytest.approx(0.2)


def test_a_joint_without_a_scale_is_named() -> None:
    with pytest.raises(NameProblem, match="no entry for joint 'left_hip"):
        bound(random_scene(2), scale={"arms": 1.0})


@pytest.mark.parametrize("scale", [0.0, -1.0, "efort", {"arms": 0.0}])
def test_a_scale_that_is_not_positive_is_rejected(scale: Any) -> None:
    with pytest.raises(ValueError, match="scale must be positive"):
        JointPosition(scale=scale)


def test_raw_action_is_clipped_and_returned_as_used() -> None:
    scene = random_scene(3)
    action = bound(scene, **PLAIN)
    used = action.apply(100.0 * torch.sign(scene.action))
    assert used.abs().eq(10.0).all()
    torch.testing.assert_close(action.target(0) - scene.robot.joint_offset - scene.model.default_joint_pos, used)


def test_filter_covers_the_share_alpha_of_the_way_in_each_substep() -> None:
    scene = random_scene(3)
    action = bound(scene, **{**PLAIN, "filter_alpha": 0.9})
    start = action.current_target.clone()
    raw = torch.ones(3, action.num_actions)
    end = scene.model.default_joint_pos + scene.robot.joint_offset + raw
    for k, target in enumerate(targets(action, raw), start=1):
        torch.testing.assert_close(end - target, (end - start) * 0.1**k, atol=1e-5, rtol=1e-3)


def test_previous_action_acts_until_the_delay_is_over() -> None:
    scene = random_scene(6)
    action = bound(scene, **{**PLAIN, "max_delay": 5})
    action.delay = torch.arange(6)
    pose = scene.model.default_joint_pos + scene.robot.joint_offset
    first, second, third = (torch.full((6, action.num_actions), value) for value in (1.0, 2.0, 3.0))
    targets(action, first)
    targets(action, second)
    commanded = (targets(action, third) - pose).mean(-1)  # [4, 6]
    for substep in range(4):
        for delay in range(6):
            issued = 8 + substep - delay  # substep at which the applied action was given
            assert commanded[substep, delay].item() == pytest.approx(1.0 + issued // 4, abs=1e-5)


@pytest.mark.parametrize(
    ("progress", "allowed"), [(0.0, {0}), (0.2, {0}), (0.25, {0, 1}), (0.45, {0, 1, 2}), (0.8, {0, 1, 2, 3})]
)
def test_delays_grow_with_progress(progress: float, allowed: set[int]) -> None:
    scene = random_scene(4000)
    scene.progress = progress
    assert set(bound(scene).delay.tolist()) == allowed


def test_delays_between_two_ranges_mix_both_by_progress() -> None:
    # p = 0.5 / 0.8, q = 4 p - 1 = 1.5: half the envs uniform over 0..2, half over 0..1
    delays = draw_delays(60_000, 3, 0.5 / 0.8, torch.Generator().manual_seed(1))
    shares = torch.bincount(delays, minlength=4) / len(delays)
    torch.testing.assert_close(shares, torch.tensor([5 / 12, 5 / 12, 1 / 6, 0.0]), atol=0.01, rtol=0.0)


def test_full_schedule_draws_from_the_whole_range_at_once() -> None:
    scene = random_scene(4000)
    shares = torch.bincount(bound(scene, delay_schedule="full").delay, minlength=4) / 4000
    torch.testing.assert_close(shares, torch.full((4,), 0.25), atol=0.03, rtol=0.0)


def test_start_pose_is_held_for_six_substeps() -> None:
    scene = random_scene(3)
    action = bound(scene, filter_alpha=1.0, max_delay=0)
    start = scene.robot.joint_pos.clone()
    made = targets(action, scene.action, steps=2)
    assert (made[:6] == start).all()
    moved = scene.model.default_joint_pos + scene.robot.joint_offset + scene.action * action.scales
    torch.testing.assert_close(made[6:], moved.expand(2, -1, -1))


def test_reset_holds_the_present_pose_of_the_given_envs() -> None:
    scene = random_scene(5)
    action = bound(scene)
    targets(action, scene.action, steps=3)
    before = action.current_target.clone()
    ids = torch.tensor([3, 1])
    action.reset(ids)
    torch.testing.assert_close(action.current_target[ids], scene.robot.joint_pos[ids])
    assert torch.equal(action.current_target[[0, 2, 4]], before[[0, 2, 4]])


def test_reset_does_not_change_filter_delay_and_age_of_other_envs() -> None:
    scene = random_scene(5)
    scene.progress = 0.9
    action = bound(scene)
    targets(action, scene.action, steps=3)
    before = [value.clone() for value in (action.filtered, action.delay, action.age, action.recent.transpose(0, 1))]
    action.reset(torch.tensor([2]))
    after = [action.filtered, action.delay, action.age, action.recent.transpose(0, 1)]
    assert all(torch.equal(a[[0, 1, 3, 4]], b[[0, 1, 3, 4]]) for a, b in zip(after, before, strict=True))


def test_around_reference_targets_pose_and_velocity_of_the_reference() -> None:
    scene = random_scene(3)
    action = bound(scene, **PLAIN, around="reference")
    scene.reference = random_scene(3, seed=9).reference
    target = targets(action, torch.zeros_like(scene.action))[0] - scene.robot.joint_offset
    stiffness, damping = scene.model.stiffness, scene.model.damping
    pos, vel = scene.robot.joint_pos, scene.robot.joint_vel
    expected = stiffness * (scene.reference.joint_pos - pos) + damping * (scene.reference.joint_vel - vel)
    torch.testing.assert_close(stiffness * (target - pos) - damping * vel, expected, rtol=1e-4, atol=1e-3)
    moved = targets(action, scene.action)[0] - scene.robot.joint_offset
    torch.testing.assert_close(moved - target, scene.action)


def test_joints_that_no_action_moves_keep_the_pose() -> None:
    scene = random_scene(3)
    action = bound(scene, **PLAIN, joints=("arms",))
    assert action.num_actions == len(action.names) == 14
    target = targets(action, torch.ones(3, 14))[0]
    legs = scene.model.joints("legs")
    torch.testing.assert_close(target[:, legs], (scene.model.default_joint_pos + scene.robot.joint_offset)[:, legs])


@pytest.mark.parametrize("around", ["default", "reference"])
def test_mirrored_action_in_a_mirrored_world_gives_mirrored_targets(around: str) -> None:
    scene = random_scene(4)
    image = mirror_scene(scene)
    action, other = bound(scene, around=around), bound(image, around=around)
    reflection = action.mirror()
    left = targets(action, scene.action, steps=3)
    right = targets(other, reflection(scene.action), steps=3)
    torch.testing.assert_close(scene.model.joint_mirror(left), right, atol=1e-4, rtol=0.0)


def test_one_sided_action_has_no_mirror() -> None:
    action = bound(random_scene(2), joints=("left_.*",), scale=1.0)
    with pytest.raises(NameProblem, match="no mirror image among the joints"):
        action.mirror()


def test_saved_state_is_enough_to_continue_exactly() -> None:
    from mtrack.loop.state import component_state, load_component_state

    scene = random_scene(4)
    scene.progress = 0.9
    action = bound(scene)
    targets(action, scene.action, steps=3)
    saved = {name: value.clone() for name, value in component_state(action).items()}
    expected = targets(action, -scene.action, steps=2)
    other = bound(scene)
    load_component_state(other, saved, "action")
    assert torch.equal(targets(other, -scene.action, steps=2), expected)


def test_names_are_the_robots_joint_names() -> None:
    assert bound(random_scene(2)).names == g1_model().joint_names
