"""The pendulum model and the search for leg angles are accurate."""

from __future__ import annotations

import numpy as np
import pytest
from clip_replay import SOLE

from mtrack import MotionError
from mtrack_procedural.balance import Pendulum, support_margin
from mtrack_procedural.making import Biped
from mtrack_procedural.plan import pitched
from mtrack_procedural.timing import ease


@pytest.fixture(scope="module")
def stance(g1):
    return Biped.of(g1).stance


@pytest.fixture(scope="module")
def skeleton(stance):
    return stance.skeleton


def test_the_pendulum_follows_a_shift_of_weight():
    time = np.arange(200) / 50
    zmp = np.stack((np.zeros(200), 0.1 * (ease(time, 1.0, 0.5) - ease(time, 2.5, 0.5))), axis=1)
    pendulum = Pendulum(200, 50.0, 0.68, 25.0)
    assert np.abs(pendulum.zmp(pendulum.com(zmp)) - zmp).max() < 0.01


def test_the_pendulum_is_at_rest_at_both_ends():
    zmp = np.outer(ease(np.arange(150) / 50, 1.0, 1.0), [0.1, 0.2])
    com = Pendulum(150, 50.0, 0.68, 25.0).com(zmp)
    assert np.array_equal(com[:3], zmp[:3])
    assert np.array_equal(com[-3:], zmp[-3:])


def test_leg_angles_move_feet_and_centre_of_mass_to_their_targets(skeleton, g1):
    root_pos = np.array([[0.0, 0.0, 0.65]])
    upright = np.array([[1.0, 0.0, 0.0, 0.0]])
    com, feet = np.array([[0.03, 0.05]]), np.array([[[0.05, 0.12, 0.035], [0.0, -0.1, 0.08]]])
    default = g1.default_joint_pos.double().numpy()[None]
    turned = np.tile(np.eye(3), (1, 2, 1, 1))
    turned[0, 1] = [[0.8, 0.0, 0.6], [0.0, 1.0, 0.0], [-0.6, 0.0, 0.8]]
    root_pos, joint_pos, poses = skeleton.solve(com, feet, turned, root_pos, upright, default)
    again = skeleton.poses(root_pos, upright, joint_pos)
    assert np.array_equal(again.com, poses.com)
    assert np.abs(again.com[:, :2] - com).max() < 1e-6
    assert np.abs(again.foot_pos - feet).max() < 1e-6
    assert np.abs(again.foot_rot - turned).max() < 1e-5


def test_feet_out_of_reach_are_rejected(skeleton, g1):
    far = np.array([[[0.0, 0.12, -0.3], [0.0, -0.12, -0.3]]])
    with pytest.raises(MotionError, match="cannot reach the feet"):
        skeleton.solve(
            np.zeros((1, 2)),
            far,
            np.eye(3)[None, None].repeat(2, 1),
            np.array([[0.0, 0.0, 0.77]]),
            np.array([[1.0, 0.0, 0.0, 0.0]]),
            g1.default_joint_pos.double().numpy()[None],
        )


def test_the_support_shrinks_to_the_foot_that_stands():
    corners = np.array([[0.12, 0.027], [0.12, -0.027], [-0.05, 0.022], [-0.05, -0.022]])
    points = np.vstack((corners + np.array([0.0, 0.12]), corners - np.array([0.0, 0.12])))
    carries = np.ones((2, 8), bool)
    carries[1, 4:] = False
    margin = support_margin(np.zeros((2, 2)), np.array([points, points]), carries)
    assert margin == pytest.approx([0.05, -0.097], abs=0.003)


@pytest.mark.parametrize(("heel_up", "toes_up"), [(0.4, 0.0), (0.0, 0.3)])
def test_a_foot_turns_about_the_edge_that_is_on_the_floor(heel_up, toes_up, stance):
    flat, one = np.array([[0.1, 0.2, 0.035]]), np.ones(1)
    yaw, pitch = 0.5, heel_up - toes_up
    ankle = pitched(stance.rest, 0, flat, yaw * one, heel_up * one, toes_up * one)[0]
    turn = np.array([[np.cos(yaw), -np.sin(yaw), 0.0], [np.sin(yaw), np.cos(yaw), 0.0], [0.0, 0.0, 1.0]])
    tilt = np.array([[np.cos(pitch), 0.0, np.sin(pitch)], [0.0, 1.0, 0.0], [-np.sin(pitch), 0.0, np.cos(pitch)]])
    before, after = flat[0] + SOLE @ turn.T, ankle + SOLE @ (turn @ tilt).T
    edge = slice(0, 2) if heel_up else slice(2, 4)
    assert after[edge] == pytest.approx(before[edge])
    assert after[:, 2].min() > -1e-9
