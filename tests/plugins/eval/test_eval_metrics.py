"""Metrics of evaluation equal values computed by hand, frame by frame."""

from __future__ import annotations

import pytest
import torch
from support.scored import close, moved, on_reference, turned

from mtrack_eval.pose import JointError, JointVelError, Mpkpe, RootAngleError, RootHeightError
from mtrack_eval.smoothness import ActionRate, Energy, FootContactAgreement, KeypointDifferenceError, TorqueUse
from mtrack_eval.success import SuccessBody, SuccessHeight
from mtrack_testing import DT

ALL = torch.ones(4, dtype=torch.bool)


def bound(metric, scene):
    if hasattr(metric, "bind"):
        metric.bind(scene)
    metric.begin(scene)
    return metric


def once(metric, scene):
    metric = bound(metric, scene)
    metric.add(scene, ALL)
    return metric.value()


@pytest.mark.parametrize(("align", "expected"), [("world", 500.0), ("root", 0.0), ("local", 0.0), ("yaw", 400.0)])
def test_each_convention_ignores_its_part_of_a_translation(align, expected):
    close(once(Mpkpe(align=align), moved(on_reference(), [0.3, 0.0, 0.4])), expected)


@pytest.mark.parametrize("align", ["local", "yaw"])
def test_local_and_yaw_ignore_the_heading(align):
    level = on_reference()
    for motion in (level.robot, level.reference):  # a turn of a tilted root changes more than its heading
        motion.root_quat_wxyz.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0]))
        motion.invalidate()
    close(once(Mpkpe(align=align), turned(level, [0.0, 0.0, 0.7])), 0.0)


def test_root_and_yaw_count_the_tilt_and_local_ignores_it():
    scene = turned(on_reference(), [0.0, 0.5, 0.0])
    close(once(Mpkpe(align="local"), scene), 0.0)
    assert (once(Mpkpe(align="root"), scene) > 50.0).all()
    assert (once(Mpkpe(align="yaw"), scene) > 50.0).all()


def test_an_error_of_11_cm_in_one_of_11_keypoints_is_a_mean_of_1_cm():
    scene = on_reference()
    hand = int(scene.model.bodies("left_hand_mimic"))
    scene.robot.body_pos[:, hand, 0] += 0.11
    scene.robot.invalidate()
    close(once(Mpkpe(align="world"), scene), 10.0)


def test_joint_and_root_errors_are_mean_absolute_differences():
    scene = on_reference()
    scene.robot.joint_pos[:, 0] += 0.29
    scene.robot.joint_vel[:, 1] -= 2.9
    close(once(JointError(), scene), 0.01)
    close(once(JointVelError(), scene), 0.1)
    close(once(RootHeightError(), moved(on_reference(), [1.0, 1.0, -0.25])), 0.25)
    close(once(RootAngleError(), turned(on_reference(), [0.3, 0.0, 0.0])), 0.3)


@pytest.mark.parametrize(
    ("order", "per_frame", "expected"), [(1, False, 0.5), (2, False, 0.4), (1, True, 10.0), (2, True, 0.16)]
)
def test_central_differences_give_velocity_and_acceleration_errors(order, per_frame, expected):
    scene = on_reference()
    before = scene.robot.body_pos.clone()
    metric = KeypointDifferenceError(order=order, per_frame=per_frame)

    def at(frame):  # v = 0.5 m/s at frame 1, a = 0.4 m/s^2
        time = (frame - 1) * DT
        scene.robot.body_pos.copy_(before + torch.tensor([0.5 * time + 0.2 * time**2, 0.0, 0.0]))

    at(0)
    bound(metric, scene)
    for frame in (1, 2):
        at(frame)
        metric.add(scene, ALL)
    close(metric.value(), expected, tolerance=2e-3)


def test_foot_contact_is_the_share_of_feet_that_agree():
    scene = on_reference()
    scene.reference.contact[:] = torch.tensor([1.0, 0.0])
    scene.contacts.in_contact[:] = torch.tensor([[True, False], [True, True], [False, True], [False, False]])
    assert once(FootContactAgreement(), scene).tolist() == [1.0, 0.5, 0.0, 0.5]


def test_action_rate_torque_use_and_energy_equal_hand_computed_values():
    scene = on_reference()
    scene.action[:], scene.previous_actions[:, 0] = 0.5, 0.3
    scene.episode_step[:] = 2
    scene.robot.joint_torque[:] = -0.25 * scene.model.effort_limit
    scene.robot.joint_vel[:] = 2.0
    close(once(ActionRate(), scene), 0.2)
    close(once(TorqueUse(), scene), 0.25)
    close(once(Energy(), scene), 0.5 * float(scene.model.effort_limit.sum()), tolerance=1.0)


def test_the_first_action_of_an_episode_does_not_count_as_a_change():
    scene = on_reference()
    scene.episode_step[:] = 1
    assert once(ActionRate(), scene).isnan().all()


def test_a_mean_covers_the_active_frames_of_each_env_and_ignores_nan_in_others():
    scene = on_reference()
    metric = bound(RootHeightError(), scene)
    metric.add(moved(scene, [0.0, 0.0, 0.1]), ALL)
    scene.robot.root_pos[3] = torch.nan
    metric.add(moved(scene, [0.0, 0.0, 0.2]), torch.tensor([True, True, False, False]))
    torch.testing.assert_close(metric.value(), torch.tensor([0.2, 0.2, 0.1, 0.1]))


def test_success_body_fails_beyond_half_a_metre_even_if_the_robot_returns():
    scene = on_reference()
    metric = bound(SuccessBody(), scene)
    metric.add(moved(scene, [0.49, 0.0, 0.0]), ALL)
    assert metric.value().tolist() == [1.0] * 4
    metric.add(moved(scene, [0.02, 0.0, 0.0]), torch.tensor([True, True, True, False]))
    metric.add(moved(scene, [-0.51, 0.0, 0.0]), ALL)
    assert metric.value().tolist() == [0.0, 0.0, 0.0, 1.0]


def test_success_height_checks_body_heights_and_root_orientation_but_not_drift():
    assert once(SuccessHeight(), moved(on_reference(), [5.0, 5.0, 0.24])).tolist() == [1.0] * 4
    scene = on_reference()
    scene.robot.body_pos[0, int(scene.model.bodies("right_hand_mimic")), 2] -= 0.26
    assert once(SuccessHeight(), scene).tolist() == [0.0, 1.0, 1.0, 1.0]
    turned_less, turned_more = (turned(on_reference(), [0.0, 0.0, angle]) for angle in (0.99, 1.01))
    assert once(RootAngleError(), turned_less).max() < 1.0
    assert once(SuccessHeight(angle=1.0, limit=9.0), turned_less).tolist() == [1.0] * 4
    assert once(SuccessHeight(angle=1.0, limit=9.0), turned_more).tolist() == [0.0] * 4


def test_a_state_with_nan_is_not_a_success():
    scene = on_reference()
    scene.robot.body_pos[0] = torch.nan
    assert once(SuccessBody(), scene).tolist() == [0.0, 1.0, 1.0, 1.0]
    assert once(SuccessHeight(), scene).tolist() == [0.0, 1.0, 1.0, 1.0]
