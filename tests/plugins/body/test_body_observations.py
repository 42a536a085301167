"""Observations of the robot's own state have the right values, widths and mirrors."""

from __future__ import annotations

import pytest
import torch

from mtrack import NameProblem
from mtrack.api.lifecycle import Binds, NoisyObservation
from mtrack.math import quat_rotate_inverse, quat_to_matrix
from mtrack_body.feet import weight
from mtrack_body.ground import BodyHeight, FootContact
from mtrack_body.keypoints import KeypointAngVel, KeypointLinVel, KeypointPos, KeypointRot
from mtrack_body.observations import (
    AppliedTarget,
    AppliedTorque,
    BootIndicator,
    JointPos,
    JointVel,
    PreviousActions,
    ProjectedGravity,
    RootAngVel,
    RootLinVel,
)
from mtrack_testing import mirror_scene, random_scene

WIDTHS = [
    (AppliedTarget(), 29),
    (AppliedTorque(), 29),
    (BodyHeight(), 4),
    (BootIndicator(), 1),
    (FootContact(), 12),
    (JointPos(), 29),
    (JointPos(measured=False), 29),
    (JointVel(), 29),
    (JointVel(joints=("arms",)), 14),
    (PreviousActions(), 87),
    (ProjectedGravity(), 3),
    (RootAngVel(), 3),
    (RootLinVel(), 3),
    (KeypointPos(), 33),
    (KeypointRot(), 66),
    (KeypointLinVel(), 33),
    (KeypointAngVel(), 33),
]


def named(case: object) -> str:
    return type(case).__name__ if not isinstance(case, int) else str(case)


def observe(term, scene):
    if isinstance(term, Binds):
        term.bind(scene)
    return term(scene)


@pytest.mark.parametrize(("term", "width"), WIDTHS, ids=named)
def test_width_is_as_expected_and_equals_the_mirrors(term, width: int) -> None:
    value = observe(term, random_scene(3))
    assert value.shape == (3, width) == (3, term.mirror().width)
    assert value.dtype == torch.float32


@pytest.mark.parametrize(("term", "width"), WIDTHS, ids=named)
def test_mirrored_state_gives_the_mirrored_observation(term, width: int) -> None:
    scene = random_scene(8)
    value = observe(term, scene)
    torch.testing.assert_close(term.mirror()(value), term(mirror_scene(scene)), atol=1e-4, rtol=0.0)


@pytest.mark.parametrize(("term", "width"), WIDTHS, ids=named)
@pytest.mark.parametrize("env_ids", [[5, 2], []])
def test_a_part_of_the_scene_gives_that_part_of_the_observation(term, width: int, env_ids: list[int]) -> None:
    scene, ids = random_scene(8), torch.tensor(env_ids, dtype=torch.int64)
    torch.testing.assert_close(observe(term, scene)[ids], term(scene.select(ids)))


def test_measured_joint_positions_include_the_calibration_error() -> None:
    scene = random_scene(3)
    torch.testing.assert_close(observe(JointPos(), scene), scene.robot.joint_pos - scene.robot.joint_offset)
    torch.testing.assert_close(observe(JointPos(measured=False), scene), scene.robot.joint_pos)


def test_boot_indicator_falls_to_zero_in_half_a_second() -> None:
    scene = random_scene(4)
    scene.episode_step.copy_(torch.tensor([0, 5, 25, 900]))
    torch.testing.assert_close(BootIndicator()(scene).squeeze(-1), torch.tensor([1.0, 0.8, 0.0, 0.0]))


def test_previous_actions_are_newest_first() -> None:
    scene = random_scene(3)
    newest, before, oldest = observe(PreviousActions(), scene).split(29, dim=-1)
    assert torch.equal(newest, scene.action)
    assert torch.equal(before, scene.previous_actions[:, 0])
    assert torch.equal(oldest, scene.previous_actions[:, 1])


def test_previous_actions_reject_a_number_of_joints_that_differs_from_the_action() -> None:
    with pytest.raises(NameProblem, match="14 joints, but the action has 29"):
        PreviousActions(joints=("arms",)).bind(random_scene(2))


def test_gravity_with_noise_is_a_unit_vector() -> None:
    scene, draw = random_scene(64), torch.Generator().manual_seed(0)
    term = ProjectedGravity()
    assert isinstance(term, NoisyObservation)
    value = term(scene)
    noisy = term.disturb(value, scene, lambda shape: 0.05 * torch.randn(shape, generator=draw))
    torch.testing.assert_close(noisy.norm(dim=-1), torch.ones(64))
    assert 0.03 < (noisy - value).norm(dim=-1).mean() < 0.12


def test_root_velocities_are_in_the_body_frame() -> None:
    scene = random_scene(5)
    robot = scene.robot
    torch.testing.assert_close(RootLinVel()(scene), quat_rotate_inverse(robot.root_quat_wxyz, robot.root_lin_vel))
    torch.testing.assert_close(RootAngVel()(scene), quat_rotate_inverse(robot.root_quat_wxyz, robot.root_ang_vel))


def test_body_height_returns_pelvis_ankles_and_torso() -> None:
    scene = random_scene(3)
    names = ["pelvis", "left_ankle_roll_link", "right_ankle_roll_link", "torso_link"]
    expected = torch.stack([scene.robot.body_pos[:, scene.model.body_names.index(n), 2] for n in names], dim=-1)
    assert torch.equal(observe(BodyHeight(), scene), expected)


def test_foot_contact_returns_force_in_robot_weights_in_the_root_frame() -> None:
    scene = random_scene(6)
    contacts = scene.contacts
    feet = observe(FootContact(), scene).unflatten(-1, (2, 6))
    expected = quat_rotate_inverse(scene.robot.root_quat_wxyz.unsqueeze(1), contacts.force) / weight(scene.model)
    torch.testing.assert_close(feet[..., :3], expected, atol=1e-5, rtol=1e-4)
    rest = torch.stack((contacts.in_contact.float(), contacts.contact_time, contacts.air_time), dim=-1)
    assert torch.equal(feet[..., 3:], rest)


def test_foot_contact_force_is_bounded() -> None:
    scene = random_scene(6)
    scene.contacts.force.mul_(1e4)
    assert observe(FootContact(), scene).unflatten(-1, (2, 6))[..., :3].abs().max() == 10.0


def test_keypoints_are_relative_to_the_root() -> None:
    scene = random_scene(4)
    robot, model = scene.robot, scene.model
    which = model.bodies("keypoints")
    into_root = quat_to_matrix(robot.root_quat_wxyz).mT.unsqueeze(1)

    def rotated(vector: torch.Tensor) -> torch.Tensor:
        return (into_root @ vector.unsqueeze(-1)).squeeze(-1).flatten(1)

    cases = {
        KeypointPos: rotated(robot.body_pos[:, which] - robot.root_pos.unsqueeze(1)),
        KeypointLinVel: rotated(robot.body_lin_vel[:, which] - robot.root_lin_vel.unsqueeze(1)),
        KeypointAngVel: rotated(robot.body_ang_vel[:, which] - robot.root_ang_vel.unsqueeze(1)),
    }
    for term, expected in cases.items():
        torch.testing.assert_close(observe(term(), scene), expected, atol=1e-5, rtol=1e-4)
    matrices = into_root @ quat_to_matrix(robot.body_quat_wxyz[:, which])
    columns = observe(KeypointRot(), scene).unflatten(-1, (11, 2, 3))
    torch.testing.assert_close(columns, matrices[..., :2].mT, atol=1e-5, rtol=1e-4)


def test_relative_joint_positions_are_those_above_the_default_pose() -> None:
    scene = random_scene(3)
    default = scene.model.default_joint_pos
    term = JointPos(relative=True)
    torch.testing.assert_close(observe(term, scene), scene.robot.joint_pos - scene.robot.joint_offset - default)
    assert term.robot_term().parameters["minus"] == default.tolist()
    torch.testing.assert_close(term(mirror_scene(scene)), term.mirror()(term(scene)), atol=1e-4, rtol=0.0)
    legs = JointPos(joints=("legs",), relative=True)
    assert observe(legs, scene).shape == (3, 12)
