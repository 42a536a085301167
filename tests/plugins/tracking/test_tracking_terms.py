"""Reference observations, tracking rewards and terminations: widths, mirrors, restricted scenes, known values."""

from __future__ import annotations

import pytest
import torch

from mtrack_compliance import compliance_flag
from mtrack_testing import mirror_scene, random_scene
from mtrack_tracking import (
    anchor,
    anchored_rewards,
    errors,
    feet,
    observations,
    reference_joints,
    reference_keypoints,
    rewards,
    terminations,
)

WIDTHS = {
    observations.ReferenceRootDisplacement: 12,
    observations.ReferenceRootRot: 30,
    compliance_flag.ComplianceFlag: 3,
    reference_joints.ReferenceJointPos: 145,
    reference_joints.ReferenceJointDifference: 145,
    observations.ReferenceRootHeight: 5,
    observations.ReferenceGravity: 15,
    observations.ReferenceRootPos: 15,
    observations.ReferenceRootLinVel: 15,
    observations.ReferenceRootAngVel: 15,
    observations.ReferenceContact: 2,
    reference_keypoints.ReferenceKeypointPos: 330,
    reference_keypoints.ReferenceKeypointRot: 660,
    errors.RootPosDistance: 1,
    errors.RootRotAngle: 1,
    errors.KeypointDistance: 1,
    reference_joints.ReferenceJointVel: 145,
    anchor.ReferenceAnchorPos: 3,
    anchor.ReferenceAnchorRot: 6,
    anchor.AnchoredBodyPos: 33,
    anchor.AnchoredBodyRot: 66,
}
REWARDS = [
    rewards.RootPosTracking,
    rewards.RootRotTracking,
    rewards.RootVelTracking,
    rewards.RootAngVelTracking,
    rewards.BaseHeightTracking,
    rewards.LinVelTracking,
    rewards.KeypointPosTracking,
    rewards.KeypointRotTracking,
    rewards.KeypointVelTracking,
    rewards.KeypointAngVelTracking,
    rewards.JointPosTracking,
    rewards.JointVelTracking,
    anchored_rewards.AnchorPosTracking,
    anchored_rewards.AnchorRotTracking,
    anchored_rewards.AnchoredBodyPosTracking,
    anchored_rewards.AnchoredBodyRotTracking,
    anchored_rewards.BodyLinVelTracking,
    anchored_rewards.BodyAngVelTracking,
]
FEET = [feet.FeetAirTimeRef, feet.FeetContactRef]
TERMINATIONS = [
    terminations.BodyHeightLimit,
    terminations.GravityDirection,
    terminations.TrackingError,
    anchor.AnchorTilt,
]


def bound(kind, scene, **params):
    term = kind(**params)
    if hasattr(term, "bind"):
        term.bind(scene)
    return term


@pytest.mark.parametrize("kind", WIDTHS, ids=lambda kind: kind.__name__)
def test_an_observation_has_the_width_of_the_reference_task(kind):
    scene = random_scene()
    term = bound(kind, scene)
    assert term(scene).shape == (scene.num_envs, WIDTHS[kind])
    assert term.mirror().width == WIDTHS[kind]


@pytest.mark.parametrize("kind", WIDTHS, ids=lambda kind: kind.__name__)
def test_a_mirrored_scene_gives_the_mirrored_observation(kind):
    scene = random_scene(16)
    term = bound(kind, scene)
    value = term(scene)
    assert value.std() > 0
    torch.testing.assert_close(term(mirror_scene(scene)), term.mirror()(value), rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", WIDTHS, ids=lambda kind: kind.__name__)
def test_a_restricted_scene_gives_the_values_of_the_whole_one(kind):
    scene = random_scene(16)
    term = bound(kind, scene)
    for ids in (torch.tensor([11, 3, 4]), torch.tensor([], dtype=torch.int64)):
        torch.testing.assert_close(term(scene.select(ids)), term(scene)[ids])


@pytest.mark.parametrize("kind", [*REWARDS, *FEET], ids=lambda kind: kind.__name__)
def test_a_mirrored_scene_gives_the_same_reward(kind):
    scene = random_scene(32)
    value, mirrored = bound(kind, scene)(scene), bound(kind, scene)(mirror_scene(scene))
    assert value.std() > 0
    torch.testing.assert_close(value, mirrored, rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", TERMINATIONS, ids=lambda kind: kind.__name__)
def test_a_mirrored_scene_ends_the_same_episodes(kind):
    scene = random_scene(64, error=0.1 if kind is terminations.BodyHeightLimit else 0.5)
    params = {"steps": 1, "threshold": 0.7} if kind is terminations.TrackingError else {}
    value = bound(kind, scene, **params)(scene)
    assert 0 < value.sum() < len(value)
    assert torch.equal(bound(kind, scene, **params)(mirror_scene(scene)), value)


@pytest.mark.parametrize("kind", REWARDS, ids=lambda kind: kind.__name__)
def test_a_perfect_robot_earns_one_and_a_worse_one_less(kind):
    perfect = random_scene(error=0.0)
    torch.testing.assert_close(bound(kind, perfect)(perfect), torch.ones(8), rtol=0, atol=1e-3)
    good, bad = random_scene(64, error=0.05), random_scene(64, error=0.3)
    assert bound(kind, bad)(bad).mean() < bound(kind, good)(good).mean() < 1


def test_a_reward_falls_to_one_over_e_at_sigma():
    scene = random_scene(error=0.0)
    scene.extras["root_target"] = scene.robot.root_pos + torch.tensor([0.0, 0.6, 0.0])
    torch.testing.assert_close(bound(rewards.RootPosTracking, scene, sigma=0.6)(scene), torch.full((8,), torch.e**-1))
    torch.testing.assert_close(bound(errors.RootPosDistance, scene)(scene), torch.full((8, 1), 0.4))


def test_keypoint_rewards_measure_pose_and_not_drift():
    scene = random_scene(error=0.0)
    scene.robot.body_pos = scene.robot.body_pos + torch.tensor([3.0, -1.0, 0.5])
    scene.robot.root_pos = scene.robot.root_pos + torch.tensor([3.0, -1.0, 0.5])
    torch.testing.assert_close(bound(rewards.KeypointPosTracking, scene)(scene), torch.ones(8), rtol=0, atol=1e-3)
    assert bound(rewards.RootPosTracking, scene)(scene).max() < 1e-3


def test_differences_of_keypoints_are_0_at_the_present_frame_if_the_pose_is_right():
    scene = random_scene(error=0.0)
    difference = bound(reference_keypoints.ReferenceKeypointPos, scene)(scene)[:, 165:].unflatten(1, (5, 33))[:, 0]
    torch.testing.assert_close(difference, torch.zeros_like(difference), rtol=0, atol=1e-5)
    relative = bound(reference_keypoints.ReferenceKeypointRot, scene)(scene)[:, 330:].unflatten(1, (5, 3, 2, 11))[:, 0]
    nothing = torch.eye(3)[:, :2, None].expand_as(relative)
    torch.testing.assert_close(relative, nothing, rtol=0, atol=1e-5)


def test_reference_keypoint_rotations_are_those_of_the_formula():
    scene = random_scene()
    robot, reference = scene.robot, scene.reference
    keypoints = scene.model.bodies("keypoints")
    value = bound(reference_keypoints.ReferenceKeypointRot, scene)(scene)[:, 330:].unflatten(1, (5, 3, 2, 11))
    own = (robot.root_rot.mT.unsqueeze(1) @ robot.body_rot[:, keypoints]).unsqueeze(1)
    wanted = reference.root_rot.mT[:, None, None] @ reference.future.body_rot[:, :, keypoints]
    torch.testing.assert_close(value, (own.mT @ wanted)[..., :2].permute(0, 1, 3, 4, 2), rtol=0, atol=1e-5)


def test_one_noisy_encoder_reading_serves_all_future_frames():
    scene = random_scene()
    term = bound(reference_joints.ReferenceJointDifference, scene)
    value = term(scene)
    error = (term.disturb(value, scene, lambda shape: torch.randn(*shape)) - value).unflatten(1, (5, 29))
    torch.testing.assert_close(error, error[:, :1].expand_as(error), rtol=0, atol=1e-5)
    assert error[:, 0].unique().numel() > 200


def test_orientation_noise_turns_by_its_size_about_any_axis():
    scene = random_scene(500)
    term = bound(observations.ReferenceRootRot, scene)
    value = term(scene)

    def noise(shape):
        return torch.full(shape, 0.025) if shape[-1] == 1 else torch.randn(*shape)

    turned = term.disturb(value, scene, noise).unflatten(1, (5, 2, 3))
    before = value.unflatten(1, (5, 2, 3))
    torch.testing.assert_close(turned.norm(dim=-1), torch.ones(500, 5, 2), rtol=0, atol=1e-5)
    moved = (turned - before).norm(dim=-1)
    assert 0.02 < moved.max() < 0.0251
    assert torch.equal(term.disturb(value, scene, lambda shape: torch.zeros(*shape)), value)


def feet_scene(touching, wanted, landing=(False, False), heights=0.035):
    scene = random_scene(1)
    scene.contacts.in_contact = torch.tensor([touching])
    scene.contacts.first_contact = torch.tensor([landing])
    scene.reference.contact = torch.tensor([wanted]).float()
    scene.robot.body_pos[..., 2] = heights
    return scene


@pytest.mark.parametrize(
    ("touching", "wanted", "height", "reward"),
    [
        ((True, True), (True, True), 0.035, 0.0),  # stands as it should
        ((True, True), (True, False), 0.035, -0.5),  # one foot of two should be up
        ((False, False), (False, False), 0.095, -0.5),  # half of the clearance
        ((False, False), (False, False), 0.3, 0.0),
        ((True, True), (True, True), 0.08, -0.5),  # stands on something half as high as allowed
        ((False, False), (True, True), 0.3, -1.0),
    ],
)
def test_feet_contact_ref_follows_its_formula(touching, wanted, height, reward):
    scene = feet_scene(touching, wanted, heights=height)
    torch.testing.assert_close(bound(feet.FeetContactRef, scene)(scene), torch.tensor([reward]), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("agreeing", "disagreeing", "reward"), [(40, 0, 0.0), (10, 0, -0.28), (20, 5, -0.18)])
def test_feet_air_time_ref_costs_the_missing_time_of_agreement_at_touch_down(agreeing, disagreeing, reward):
    term = bound(feet.FeetAirTimeRef, random_scene(1))
    for _ in range(agreeing):
        assert term(feet_scene((False, True), (False, True))).item() == 0
    for _ in range(disagreeing):
        assert term(feet_scene((False, True), (True, True))).item() == 0
    touch_down = feet_scene((True, True), (True, True), landing=(True, False))
    assert term(touch_down).item() == pytest.approx(reward, abs=1e-5)
    assert torch.equal(term.clock, torch.zeros(1, 2))


def test_more_depth_is_allowed_while_the_reference_jumps():
    scene = random_scene(3, error=0.0)
    watched = scene.model.bodies("height_checked")
    scene.reference.body_pos[:, watched, 2] = torch.tensor([[0.1], [0.2], [0.5]])
    scene.robot.body_pos = scene.reference.body_pos.clone()
    scene.robot.body_pos[:, watched[0], 2] -= 0.36
    assert bound(terminations.BodyHeightLimit, scene)(scene).tolist() == [True, True, False]
    scene.robot.body_pos[:, watched[0], 2] += 0.36 + 0.26
    assert bound(terminations.BodyHeightLimit, scene)(scene).all()


def test_only_a_lasting_tracking_error_ends_an_episode():
    bad, good = random_scene(2, error=1.0), random_scene(2, error=0.01)
    term = bound(terminations.TrackingError, bad, steps=3)
    assert [term(scene).any().item() for scene in (bad, bad, good, bad, bad)] == [False] * 5
    term.reset(torch.tensor([0]))
    assert term(bad).tolist() == [False, True]


BODY_TERMS = [
    rewards.KeypointPosTracking,
    rewards.KeypointRotTracking,
    rewards.KeypointVelTracking,
    rewards.KeypointAngVelTracking,
    errors.KeypointDistance,
]
POSES_AND_VELOCITIES = (
    *("root_pos", "root_quat_wxyz", "root_lin_vel", "root_ang_vel"),
    *("body_pos", "body_quat_wxyz", "body_lin_vel", "body_ang_vel"),
)


@pytest.mark.parametrize("kind", BODY_TERMS, ids=lambda kind: kind.__name__)
def test_errors_are_updated_if_the_robot_changes_and_the_reference_object_does_not(kind):
    scene, later = random_scene(16), random_scene(16, seed=5)
    term = bound(kind, scene)
    before = term(scene)
    for name in POSES_AND_VELOCITIES:
        getattr(scene.robot, name).copy_(getattr(later.robot, name))
    scene.robot.invalidate()
    later.reference = scene.reference.select(torch.arange(16))
    assert not torch.allclose(term(scene), before)
    torch.testing.assert_close(term(scene), term(later))


@pytest.mark.parametrize("kind", BODY_TERMS, ids=lambda kind: kind.__name__)
def test_errors_are_updated_if_some_environments_reset_and_the_reference_object_does_not(kind):
    scene, later, ids = random_scene(16), random_scene(16, seed=5), torch.tensor([3, 11])
    term = bound(kind, scene)
    expected = term(scene).clone()
    later.reference = scene.reference.select(torch.arange(16))
    expected[ids] = term(later)[ids]
    some = later.robot.select(ids)
    for name in POSES_AND_VELOCITIES:
        getattr(scene.robot, name)[ids] = getattr(some, name)
    scene.robot.update_envs(ids, some)
    torch.testing.assert_close(term(scene), expected)


def test_errors_are_updated_if_the_reference_is_written_in_place():
    scene = random_scene(16)
    term = bound(rewards.KeypointPosTracking, scene)
    before = term(scene)
    scene.reference.body_pos.add_(torch.linspace(0, 1, scene.reference.body_pos.shape[1]).unsqueeze(1))
    scene.reference.invalidate()
    assert not torch.allclose(term(scene), before)
