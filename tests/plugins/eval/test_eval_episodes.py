"""The scorer: errors are averaged until the first failure, and progress says when it happened."""

from __future__ import annotations

import torch
from support.following import following, start, step
from support.scored import NeverDiverges, close, on_reference

from mtrack_eval.pose import JointError, Mpkpe, RootAngleError
from mtrack_eval.scorer import Scorer
from mtrack_eval.smoothness import KeypointDifferenceError
from mtrack_eval.success import Progress, SuccessBody, SuccessHeight

POSES = ("root_pos", "root_quat_wxyz", "joint_pos", "joint_vel", "body_pos", "body_quat_wxyz")


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
        "root_rot_error": RootAngleError(),
    }
    for metric in metrics.values():
        if hasattr(metric, "bind"):
            metric.bind(scene)
    return Scorer(metrics)


def test_a_perfect_follower_has_no_error_and_one_that_is_a_frame_late_has_the_error_of_a_frame():
    """The root moves 10 mm per frame."""
    for late in (False, True):
        command, scene = following(num_envs=4)
        scene.backend = NeverDiverges()
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
    """Score 10 frames; env 0 is a metre too low from `frame` on."""
    scorer.begin(scene, lengths, **begin)
    for now in range(1, 11):
        if now == frame:
            scene.robot.body_pos[0, :, 2] -= 1.0
        scene.robot.invalidate()
        scorer(scene)


def test_errors_count_until_the_first_failure_and_progress_says_when_it_happened():
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


def test_errors_of_all_frames_count_if_failed_frames_are_counted():
    scene = on_reference()
    scorer = pose_scorer(scene)
    fall_at(scorer, scene, 6, torch.full((4,), 10), count_failed=True)
    assert scorer.metrics["progress"].value().tolist() == [0.5, 1.0, 1.0, 1.0]
    close(scorer.metrics["mpkpe_world"].value()[:1], 500.0)


def test_a_diverged_simulation_is_a_failure_and_no_later_frame_counts():
    scene = on_reference()
    scorer = pose_scorer(scene)
    scorer.begin(scene, torch.full((4,), 3))
    scorer(scene)
    scene.backend.diverged = lambda: torch.tensor([True, False, False, False])
    scorer(scene)
    scene.backend.diverged = lambda: torch.zeros(4, dtype=torch.bool)
    scorer(scene)
    assert scorer.metrics["success_body"].value().tolist() == [0.0, 1.0, 1.0, 1.0]
    torch.testing.assert_close(scorer.metrics["progress"].value(), torch.tensor([1 / 3, 1.0, 1.0, 1.0]))
