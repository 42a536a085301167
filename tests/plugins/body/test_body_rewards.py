"""Rewards and terminations of joints, feet and collisions follow their formulas."""

from __future__ import annotations

import pytest
import torch

from mtrack import Scene
from mtrack.api.lifecycle import Binds, Requires
from mtrack.math import quat_from_rotation_vector
from mtrack_body.collisions import SelfCollision, UndesiredContactCount
from mtrack_body.feet import FeetAirTime, FeetSlip, FeetUpright, ImpactForce, Stumble
from mtrack_body.rewards import (
    ActionRateL2,
    JointAccL2,
    JointPosLimits,
    JointTorqueLimits,
    JointVelL2,
    Survival,
    TorquesL2,
)
from mtrack_body.terminations import FallOver, UndesiredContact
from mtrack_testing import g1_model, mirror_scene, random_scene

ARMS = ("left_hand_mimic", "right_hand_mimic", "torso_link")
EVERY = [
    Survival(),
    JointVelL2(),
    JointAccL2(),
    TorquesL2(),
    TorquesL2(joints=("legs",)),
    ActionRateL2(),
    JointPosLimits(),
    JointTorqueLimits(),
    FeetAirTime(),
    FeetSlip(),
    FeetUpright(),
    ImpactForce(),
    Stumble(),
    SelfCollision(),
    SelfCollision(bodies=ARMS),
    UndesiredContactCount(),
    FallOver(),
    UndesiredContact(),
]


def scene_for(term, num_envs: int = 8) -> Scene:
    """Return a scene with the sensors that a term requests, bound to it."""
    model = g1_model()
    sensors = [s.name for s in term.requires(model).contacts] if isinstance(term, Requires) else None
    scene = random_scene(num_envs, model=model, sensors=sensors, seed=3)
    if isinstance(term, Binds):
        term.bind(scene)
    return scene


@pytest.mark.parametrize("term", EVERY, ids=lambda term: type(term).__name__)
def test_mirrored_state_gives_the_same_value(term) -> None:
    scene = scene_for(term)
    value = term(scene)
    assert value.shape == (8,)
    torch.testing.assert_close(value, term(mirror_scene(scene)), atol=1e-4, rtol=1e-6)


def test_survival_is_one() -> None:
    assert (Survival()(random_scene(4)) == 1.0).all()


def test_squares_of_velocity_torque_and_action_change_are_summed() -> None:
    scene = scene_for(JointVelL2())
    velocities, torques = JointVelL2(), TorquesL2()
    velocities.bind(scene)
    torques.bind(scene)
    torch.testing.assert_close(velocities(scene), -(scene.robot.joint_vel**2).sum(-1))
    torch.testing.assert_close(torques(scene), -(scene.robot.joint_torque**2).sum(-1))
    change = scene.action - scene.previous_actions[:, 0]
    torch.testing.assert_close(ActionRateL2()(scene), -(change**2).sum(-1))


def test_accelerations_are_bounded_on_both_sides() -> None:
    term = JointAccL2()
    scene = scene_for(term, 2)
    scene.robot.joint_acc.zero_()
    scene.robot.joint_acc[0, 0], scene.robot.joint_acc[1, 0] = 1e6, -1e6
    assert term(scene).tolist() == [-1e4, -1e4]


def test_joint_limits_have_no_penalty_within_the_soft_range() -> None:
    term = JointPosLimits()
    scene = scene_for(term, 3)
    low, high = scene.model.joint_range.unbind(-1)
    middle, half = (low + high) / 2, (high - low) / 2
    scene.robot.joint_pos.copy_(middle + half * torch.tensor([[0.89], [-0.89], [0.0]]))
    assert (term(scene) == 0.0).all()


def test_joint_limits_penalise_the_excess_over_the_soft_range() -> None:
    term = JointPosLimits()
    scene = scene_for(term, 2)
    low, high = scene.model.joint_range.unbind(-1)
    middle, half = (low + high) / 2, (high - low) / 2
    scene.robot.joint_pos.copy_(middle.expand(2, -1))
    scene.robot.joint_pos[0, 3] = middle[3] + 0.95 * half[3]
    scene.robot.joint_pos[1, 3] = middle[3] - 0.95 * half[3]
    torch.testing.assert_close(term(scene), (-0.05 * half[3] / 0.1).expand(2), atol=1e-4, rtol=1e-4)


def test_torques_are_penalised_above_three_quarters_of_the_limit() -> None:
    term = JointTorqueLimits()
    scene = scene_for(term, 2)
    scene.robot.joint_torque.copy_(scene.model.effort_limit * torch.tensor([[0.74], [-0.9]]))
    torch.testing.assert_close(term(scene), torch.tensor([0.0, -29 * (0.9 / 0.75 - 1.0)]), atol=1e-4, rtol=0.0)


def test_air_time_is_rewarded_only_at_landing() -> None:
    term = FeetAirTime()
    scene = scene_for(term, 3)
    scene.contacts.last_air_time.copy_(torch.tensor([[0.5, 0.7], [0.5, 0.1], [0.5, 0.1]]))
    scene.contacts.first_contact.copy_(torch.tensor([[True, True], [False, True], [False, False]]))
    torch.testing.assert_close(term(scene), torch.tensor([0.4, -0.3, 0.0]))


def test_slip_is_the_horizontal_speed_of_feet_in_contact() -> None:
    term = FeetSlip()
    scene = scene_for(term, 2)
    feet = scene.model.bodies("feet")
    scene.robot.body_lin_vel[:, feet] = torch.tensor([[3.0, 4.0, 9.0], [0.0, 1.0, 9.0]])
    scene.contacts.in_contact.copy_(torch.tensor([[True, True], [False, True]]))
    torch.testing.assert_close(term(scene), torch.tensor([-6.0, -1.0]))


def test_a_foot_stumbles_if_the_horizontal_force_exceeds_four_times_the_vertical_one() -> None:
    term = Stumble()
    scene = scene_for(term, 3)
    scene.contacts.force.zero_()
    scene.contacts.force[0, 1] = torch.tensor([0.0, 41.0, 10.0])
    scene.contacts.force[1, 0] = torch.tensor([39.0, 0.0, 10.0])
    assert term(scene).tolist() == [-1.0, 0.0, 0.0]


def test_impact_is_penalised_above_one_and_a_half_weights() -> None:
    term = ImpactForce()
    scene = scene_for(term, 2)
    weight = scene.model.mass * 9.81
    scene.contacts.force.zero_()
    scene.contacts.force[0, :, 2] = 1.4 * weight
    scene.contacts.force[1, :, 2] = 2.0 * weight
    torch.testing.assert_close(term(scene), torch.tensor([0.0, -1.0]), atol=1e-4, rtol=0.0)


def test_level_soles_have_no_penalty_and_tilted_ones_the_sine_squared() -> None:
    term = FeetUpright()
    scene = scene_for(term, 2)
    turn = quat_from_rotation_vector(torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.5, 0.0]]))
    scene.robot.body_quat_wxyz.copy_(turn.unsqueeze(1).expand_as(scene.robot.body_quat_wxyz))
    scene.invalidate()
    expected = torch.tensor([0.0, -2.0]) * torch.sin(torch.tensor(0.5)) ** 2
    torch.testing.assert_close(term(scene), expected, atol=1e-5, rtol=0.0)


@pytest.mark.parametrize("term", [SelfCollision(bodies=ARMS), UndesiredContactCount(bodies=ARMS)])
def test_touching_bodies_are_counted(term) -> None:
    scene = scene_for(term, 2)
    scene.contacts.in_contact.copy_(torch.tensor([[True, False, True], [False, False, False]]))
    assert term(scene).tolist() == [-2.0, 0.0]


def test_self_collision_requests_contacts_with_the_robot_itself() -> None:
    requested = SelfCollision(bodies=("feet",)).requires(g1_model()).contacts
    assert [s.name for s in requested] == ["left_ankle_roll_link:self", "right_ankle_roll_link:self"]


def test_a_tilt_beyond_the_limit_is_a_fall() -> None:
    scene = random_scene(3)
    tilts = torch.tensor([[0.0, 1.1, 0.0], [1.3, 0.0, 0.0], [0.0, 0.0, 3.0]])
    scene.robot.root_quat_wxyz.copy_(quat_from_rotation_vector(tilts))
    assert FallOver()(scene).tolist() == [False, True, False]


def test_undesired_contact_terminates_above_the_ignored_force() -> None:
    term = UndesiredContact(bodies=ARMS)
    scene = scene_for(term, 2)
    scene.contacts.force.zero_()
    scene.contacts.force[0, 2, 0], scene.contacts.force[1, 1, 2] = 0.9, 1.1
    assert term(scene).tolist() == [False, True]
