"""Metrics of evaluation against values worked out by hand, on scenes without physics."""

from __future__ import annotations

import attrs
import pytest
import torch
from support.following import following, start, step

from mtrack.math import quat_from_rotation_vector, quat_multiply, quat_rotate
from mtrack.scene import Kinematics
from mtrack_dev.testing import DT, random_scene
from mtrack_eval.pose import JointError, JointVelError, Mpkpe, RootHeightError, RootRotError
from mtrack_eval.scorer import Scorer
from mtrack_eval.smoothness import ActionRate, Energy, FootContactAgreement, KeypointDifferenceError, TorqueUse
from mtrack_eval.success import Progress, SuccessBody, SuccessHeight

ALL = torch.ones(4, dtype=torch.bool)
POSES = ("root_pos", "root_quat_wxyz", "joint_pos", "joint_vel", "body_pos", "body_quat_wxyz")


class Unbroken:
    def broken(self):
        return torch.zeros(4, dtype=torch.bool)


def on_reference(**changes):
    """Return a scene of 4 rows whose robot is where its reference is, but for some changes."""
    scene = random_scene(4, backend=Unbroken())
    for field in attrs.fields(Kinematics):
        if field.name != "known":
            getattr(scene.robot, field.name).copy_(getattr(scene.reference, field.name))
    for name, value in changes.items():
        getattr(scene.robot, name).copy_(value)
    scene.robot.invalidate()
    return scene


def bound(metric, scene):
    if hasattr(metric, "bind"):
        metric.bind(scene)
    metric.begin(scene)
    return metric


def once(metric, scene):
    metric = bound(metric, scene)
    metric.add(scene, ALL)
    return metric.value()


def moved(scene, by):
    for name in ("root_pos", "body_pos"):
        getattr(scene.robot, name).add_(torch.tensor(by))
    scene.robot.invalidate()
    return scene


def turned(scene, rotation):
    """Turn the robot about its root, rotation vector in world axes."""
    robot, turn = scene.robot, quat_from_rotation_vector(torch.tensor(rotation)).expand(4, 4)
    root = robot.root_pos.unsqueeze(1)
    robot.body_pos.copy_(quat_rotate(turn.unsqueeze(1), robot.body_pos - root) + root)
    robot.root_quat_wxyz.copy_(quat_multiply(turn, robot.root_quat_wxyz))
    robot.body_quat_wxyz.copy_(quat_multiply(turn.unsqueeze(1).expand_as(robot.body_quat_wxyz), robot.body_quat_wxyz))
    robot.invalidate()
    return scene


def close(value, expected, tolerance=1e-3):
    torch.testing.assert_close(value, torch.full_like(value, expected), atol=tolerance, rtol=1e-4)


@pytest.mark.parametrize(("align", "expected"), [("world", 500.0), ("root", 0.0), ("local", 0.0), ("yaw", 400.0)])
def test_a_robot_moved_as_a_whole_is_off_by_what_its_convention_counts(align, expected):
    close(once(Mpkpe(align=align), moved(on_reference(), [0.3, 0.0, 0.4])), expected)


@pytest.mark.parametrize("align", ["local", "yaw"])
def test_heading_does_not_count_where_the_convention_removes_it(align):
    level = on_reference()
    for motion in (level.robot, level.reference):  # of a tilted root the heading is not what a turn changes alone
        motion.root_quat_wxyz.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0]))
        motion.invalidate()
    close(once(Mpkpe(align=align), turned(level, [0.0, 0.0, 0.7])), 0.0)


def test_tilt_counts_by_root_and_yaw_but_not_by_local():
    scene = turned(on_reference(), [0.0, 0.5, 0.0])
    close(once(Mpkpe(align="local"), scene), 0.0)
    assert (once(Mpkpe(align="root"), scene) > 50.0).all()
    assert (once(Mpkpe(align="yaw"), scene) > 50.0).all()


def test_one_keypoint_off_by_11_cm_is_a_mean_of_1_cm_over_11():
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
    close(once(RootRotError(), turned(on_reference(), [0.3, 0.0, 0.0])), 0.3)


@pytest.mark.parametrize(
    ("order", "per_frame", "expected"), [(1, False, 0.5), (2, False, 0.4), (1, True, 10.0), (2, True, 0.16)]
)
def test_differences_give_velocity_and_acceleration_of_an_accelerated_robot(order, per_frame, expected):
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


def test_feet_agree_in_the_share_of_feet_that_do():
    scene = on_reference()
    scene.reference.contact[:] = torch.tensor([1.0, 0.0])
    scene.contacts.in_contact[:] = torch.tensor([[True, False], [True, True], [False, True], [False, False]])
    assert once(FootContactAgreement(), scene).tolist() == [1.0, 0.5, 0.0, 0.5]


def test_effort_is_measured_by_action_torque_and_power():
    scene = on_reference()
    scene.action[:], scene.previous_actions[:, 0] = 0.5, 0.3
    scene.episode_step[:] = 2
    scene.robot.joint_torque[:] = -0.25 * scene.model.effort_limit
    scene.robot.joint_vel[:] = 2.0
    close(once(ActionRate(), scene), 0.2)
    close(once(TorqueUse(), scene), 0.25)
    close(once(Energy(), scene), 0.5 * float(scene.model.effort_limit.sum()), tolerance=1.0)


def test_the_first_action_of_an_episode_is_no_change_of_action():
    scene = on_reference()
    scene.episode_step[:] = 1
    assert once(ActionRate(), scene).isnan().all()


def test_a_mean_is_over_the_active_frames_of_each_row_and_ignores_what_is_not_finite_elsewhere():
    scene = on_reference()
    metric = bound(RootHeightError(), scene)
    metric.add(moved(scene, [0.0, 0.0, 0.1]), ALL)
    scene.robot.root_pos[3] = torch.nan
    metric.add(moved(scene, [0.0, 0.0, 0.2]), torch.tensor([True, True, False, False]))
    torch.testing.assert_close(metric.value(), torch.tensor([0.2, 0.2, 0.1, 0.1]))


def test_success_of_bodies_ends_half_a_metre_away_even_if_the_robot_comes_back():
    scene = on_reference()
    metric = bound(SuccessBody(), scene)
    metric.add(moved(scene, [0.49, 0.0, 0.0]), ALL)
    assert metric.value().tolist() == [1.0] * 4
    metric.add(moved(scene, [0.02, 0.0, 0.0]), torch.tensor([True, True, True, False]))
    metric.add(moved(scene, [-0.51, 0.0, 0.0]), ALL)
    assert metric.value().tolist() == [0.0, 0.0, 0.0, 1.0]


def test_success_of_heights_looks_at_each_body_and_at_the_orientation_but_not_at_drift():
    assert once(SuccessHeight(), moved(on_reference(), [5.0, 5.0, 0.24])).tolist() == [1.0] * 4
    scene = on_reference()
    scene.robot.body_pos[0, int(scene.model.bodies("right_hand_mimic")), 2] -= 0.26
    assert once(SuccessHeight(), scene).tolist() == [0.0, 1.0, 1.0, 1.0]
    turned_less, turned_more = (turned(on_reference(), [0.0, 0.0, angle]) for angle in (0.99, 1.01))
    assert once(RootRotError(), turned_less).max() < 1.0
    assert once(SuccessHeight(angle=1.0, limit=9.0), turned_less).tolist() == [1.0] * 4
    assert once(SuccessHeight(angle=1.0, limit=9.0), turned_more).tolist() == [0.0] * 4


def test_a_state_that_is_not_finite_is_no_success():
    scene = on_reference()
    scene.robot.body_pos[0] = torch.nan
    assert once(SuccessBody(), scene).tolist() == [0.0, 1.0, 1.0, 1.0]
    assert once(SuccessHeight(), scene).tolist() == [0.0, 1.0, 1.0, 1.0]


def pose_scorer(scene):
    metrics = {
        "success_body": SuccessBody(),
        "success_height": SuccessHeight(),
        "progress": Progress(),
        "mpkpe_world": Mpkpe(align="world"),
        "mpkpe_root": Mpkpe(align="root"),
        "mpkpe_local": Mpkpe(align="local"),
        "mpkpe_yaw": Mpkpe(align="yaw"),
        "joint_error": JointError(),
        "velocity_error": KeypointDifferenceError(),
        "root_rot_error": RootRotError(),
    }
    for metric in metrics.values():
        if hasattr(metric, "bind"):
            metric.bind(scene)
    return Scorer(metrics)


def test_a_perfect_follower_has_no_error_and_one_a_frame_late_has_that_of_a_frame():
    """The root goes ahead by 10 mm a frame."""
    for late in (False, True):
        command, scene = following(num_envs=4)
        scene.backend = Unbroken()
        start(command, torch.arange(4))
        scorer = pose_scorer(scene)

        def copy(motion, scene=scene):
            for name in POSES:
                getattr(scene.robot, name).copy_(getattr(motion, name))
            scene.robot.invalidate()

        copy(scene.reference)
        scorer.begin(scene, torch.full((4,), 20))
        for _ in range(20):
            before = scene.reference
            step(command, scene)
            copy(before if late else scene.reference)
            scorer(scene)
        values = {name: metric.value() for name, metric in scorer.metrics.items()}
        assert values["success_body"].tolist() == values["progress"].tolist() == [1.0] * 4
        if late:
            close(values["mpkpe_world"], 10.0, tolerance=0.5)
        else:
            for name in ("mpkpe_world", "mpkpe_root", "mpkpe_local", "mpkpe_yaw", "joint_error", "velocity_error"):
                close(values[name], 0.0)


def fall_at(scorer, scene, frame, lengths, **begin):
    """Score 10 frames in which row 0 is a metre too low from a frame on."""
    scorer.begin(scene, lengths, **begin)
    for now in range(1, 11):
        if now == frame:
            scene.robot.body_pos[0, :, 2] -= 1.0
        scene.robot.invalidate()
        scorer(scene)


def test_errors_count_until_the_first_failure_and_progress_says_when_it_was():
    scene = on_reference()
    scorer = pose_scorer(scene)
    fall_at(scorer, scene, 5, torch.tensor([10, 10, 10, 6]))
    values = {name: metric.value() for name, metric in scorer.metrics.items()}
    close(values["mpkpe_world"], 0.0)
    torch.testing.assert_close(values["progress"], torch.tensor([0.4, 1.0, 1.0, 1.0]))
    assert values["success_body"].tolist() == values["success_height"].tolist() == [0.0, 1.0, 1.0, 1.0]
    assert scorer.frames.tolist() == [4.0, 10.0, 10.0, 6.0]
    curve = torch.stack(scorer.curves["mpkpe_world"])
    assert (~curve.isnan()).sum(0).tolist() == [4, 10, 10, 6]


def test_where_a_failure_means_nothing_the_errors_of_all_frames_count():
    scene = on_reference()
    scorer = pose_scorer(scene)
    fall_at(scorer, scene, 6, torch.full((4,), 10), goes_on=True)
    assert scorer.metrics["progress"].value().tolist() == [0.5, 1.0, 1.0, 1.0]
    close(scorer.metrics["mpkpe_world"].value()[:1], 500.0)


def test_a_simulation_that_breaks_is_a_failure_and_nothing_after_it_counts():
    scene = on_reference()
    scorer = pose_scorer(scene)
    scorer.begin(scene, torch.full((4,), 3))
    scorer(scene)
    scene.backend.broken = lambda: torch.tensor([True, False, False, False])
    scorer(scene)
    scene.backend.broken = lambda: torch.zeros(4, dtype=torch.bool)
    scorer(scene)
    assert scorer.metrics["success_body"].value().tolist() == [0.0, 1.0, 1.0, 1.0]
    torch.testing.assert_close(scorer.metrics["progress"].value(), torch.tensor([1 / 3, 1.0, 1.0, 1.0]))
