"""The pendulum and the search for leg angles keep their promises."""

from __future__ import annotations

import numpy as np
import pytest

from mtrack.errors import MotionError
from mtrack_g1.robot import G1
from mtrack_procedural.balance import Pendulum, support_margin
from mtrack_procedural.kinematics import Skeleton
from mtrack_procedural.timing import ease


@pytest.fixture(scope="module")
def skeleton(g1):
    return Skeleton(G1().spec().compile(), g1.joint_names)


def test_the_pendulum_follows_a_shift_of_weight():
    time = np.arange(200) / 50
    zmp = np.stack((np.zeros(200), 0.1 * (ease(time, 1.0, 0.5) - ease(time, 2.5, 0.5))), axis=1)
    pendulum = Pendulum(200, 50.0, 0.68)
    assert np.abs(pendulum.zmp(pendulum.com(zmp)) - zmp).max() < 0.01


def test_the_pendulum_is_at_rest_at_both_ends():
    zmp = np.outer(ease(np.arange(150) / 50, 1.0, 1.0), [0.1, 0.2])
    com = Pendulum(150, 50.0, 0.68).com(zmp)
    assert np.array_equal(com[:3], zmp[:3])
    assert np.array_equal(com[-3:], zmp[-3:])


def test_leg_angles_put_feet_and_centre_of_mass_where_they_are_wanted(skeleton, g1):
    root_pos = np.array([[0.0, 0.0, 0.65]])
    upright = np.array([[1.0, 0.0, 0.0, 0.0]])
    com, feet = np.array([[0.03, 0.05]]), np.array([[[0.05, 0.12, 0.035], [0.0, -0.1, 0.08]]])
    default = g1.default_joint_pos.double().numpy()[None]
    root_pos, joint_pos, poses = skeleton.solve(com, feet, root_pos, upright, default)
    again = skeleton.poses(root_pos, upright, joint_pos)
    assert np.array_equal(again.com, poses.com)
    assert np.abs(again.com[:, :2] - com).max() < 1e-6
    assert np.abs(again.foot_pos - feet).max() < 1e-6
    assert np.abs(again.foot_rot - np.eye(3)).max() < 1e-5


def test_feet_out_of_reach_are_refused(skeleton, g1):
    far = np.array([[[0.0, 0.12, -0.3], [0.0, -0.12, -0.3]]])
    with pytest.raises(MotionError, match="cannot reach the feet"):
        skeleton.solve(
            np.zeros((1, 2)),
            far,
            np.array([[0.0, 0.0, 0.77]]),
            np.array([[1.0, 0.0, 0.0, 0.0]]),
            g1.default_joint_pos.double().numpy()[None],
        )


def test_the_support_shrinks_to_the_foot_that_stands():
    feet = np.array([[[0.0, 0.12, 0.035], [0.0, -0.12, 0.035]]] * 2)
    between = np.zeros((2, 2))
    margin = support_margin(between, feet, np.array([[True, True], [True, False]]))
    assert margin == pytest.approx([0.05, -0.097], abs=0.003)
