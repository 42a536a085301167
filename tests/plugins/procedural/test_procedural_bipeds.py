"""Built-in clips of robots other than the G1: from their own legs, soles and arms, and without its names."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from clip_replay import SOLE
from small_bipeds import LEGS, Played, small_biped

from mtrack import MotionError
from mtrack_motion.checked_source import usable_clips
from mtrack_procedural.kinds import DEFAULT
from mtrack_procedural.making import Biped
from mtrack_procedural.source import Procedural

MOTIONS = (*DEFAULT, "wave", "bow", "kick_left", "half_kneel_right", "walk", "walk_backward")
_G1_LEGS = 0.641


@pytest.fixture(scope="module")
def robot():
    return small_biped()


@pytest.fixture(scope="module")
def made(robot):
    return {clip.name: clip for clip in Procedural(motions=MOTIONS).clips(robot)}


@pytest.mark.parametrize("name", MOTIONS)
def test_a_clip_of_another_robot_is_possible_for_it(name, made, robot):
    played = Played(robot, made[name])
    heights = played.corners[..., 2]
    assert np.abs(heights.min((1, 2))).max() < 1e-3, "a sole is on the floor"
    stands = heights.max(-1) < 1e-3
    assert stands.any(1).all(), "one foot stands flat"
    moved = np.abs(np.diff(played.corners.mean(2)[..., :2], axis=0)).max(-1)
    assert moved[stands[1:] & stands[:-1]].max() < 1e-3, "and does not slide"
    assert played.ahead.min() > 0.02, "knees bend forward"
    low, high = robot.joint_range.numpy().T
    assert np.all((made[name].joint_pos > low) & (made[name].joint_pos < high))
    for frame in (0, -1):
        sole = played.corners[frame, ..., 0]
        assert sole.min() + 0.02 < played.com[frame, 0] < sole.max() - 0.02, "it starts and ends in balance"


def test_every_clip_starts_in_the_same_pose(made):
    poses = np.array([clip.joint_pos[0] for clip in made.values()])
    assert np.abs(poses - poses[0]).max() < 0.02


def test_arms_reach_forward_up_and_sideways(made, robot):
    hands = Played(robot, made["reach"]).hands
    assert hands[..., 0].max() > 0.35
    assert hands[..., 2].max() > 0.55
    assert np.abs(hands[..., 1]).max() > 0.5


def test_default_sizes_fit_the_legs_and_values_that_are_set_are_used_as_they_are(robot):
    for given, depth in (({}, 0.2 * LEGS / _G1_LEGS), ({"squat_depth": 0.12}, 0.12)):
        (clip,) = Procedural(motions=("squat",), spread=0.0, **given).clips(robot)
        assert np.ptp(clip.root_pos[:, 2]) == pytest.approx(depth, rel=0.01)


@pytest.mark.parametrize("tilt", [-0.06, 0.05])
def test_soles_are_found_in_a_standing_pose_that_is_not_level(robot, tilt):
    ankles = [robot.joint_names.index(f"{side}_ankle_y") for side in "lr"]
    joint_pos = robot.default_joint_pos.clone()
    joint_pos[ankles] = tilt
    tilted = attrs.evolve(robot, default_joint_pos=joint_pos)
    soles = Biped.of(tilted).stance.rest.soles
    assert np.allclose(soles.axes, [[1, 0, 0], [0, 0, 1], [0, -1, 0]], atol=1e-6)
    assert (soles.toes, soles.heel) == (0.13, -0.07)


def test_the_waist_turns_the_trunk_to_the_same_side_wherever_the_root_is(robot, made):
    """A root above the waist turns with the trunk, left when the right foot is in front."""
    w, _, _, z = made["walk"].root_quat_wxyz.T
    feet = Played(robot, made["walk"]).corners.mean(2)
    ahead = feet[:, 0, 0] - feet[:, 1, 0]
    assert np.corrcoef(ahead, np.arctan2(z, w))[0, 1] > 0.9


def test_legs_with_five_joints_keep_their_soles_nearly_level():
    robot = small_biped(ankle_roll=False)
    for clip in Procedural(motions=("stand", "squat", "sway", "step_in_place", "walk")).clips(robot):
        heights = Played(robot, clip).corners[..., 2]
        assert np.abs(heights.min((1, 2))).max() < 0.08 * np.sin(np.radians(3.5)), clip.name
        assert heights.max(-1).min(-1).max() < 0.2 * np.sin(np.radians(3.5)), clip.name
    with pytest.raises(MotionError, match="'kick' of robot 'small': it cannot stand on one foot with level soles"):
        Procedural(motions=("kick",)).clips(robot)


def test_a_robot_without_arms_moves_without_them():
    robot = small_biped(arms=False)
    source = Procedural()
    clips, reasons = usable_clips(source, robot)
    assert [clip.name for clip in clips] == [name for name in DEFAULT if name != "reach"]
    assert list(reasons) == ["reach"]
    assert reasons["reach"].startswith("built-in clip 'reach' of robot 'small': it has no arms.")
    with pytest.raises(MotionError, match="'wave' of robot 'small': it has no arms"):
        Procedural(motions=("stand", "wave")).clips(robot)


def test_a_robot_for_which_nothing_can_be_made_is_rejected_with_the_reason(robot):
    for changed, reason in (
        ({"description": None}, "it has no description of its geometry"),
        ({"sets": {}}, "it has no two feet; name a left and a right one in the set 'feet'"),
    ):
        with pytest.raises(MotionError, match=f"no built-in clip can be made for robot 'small': {reason}"):
            Procedural().clips(attrs.evolve(robot, **changed))
    narrow = attrs.evolve(robot, joint_range=robot.joint_range * 0.05)
    with pytest.raises(MotionError, match="cannot stand on bent legs"):
        Procedural().clips(narrow)


def test_the_lengths_of_the_g1_are_those_that_its_clips_were_made_with(g1):
    rest = Biped.of(g1).stance.rest
    assert (rest.size, rest.knee_height, rest.narrowest, rest.soles.middle) == (1.0, 0.0565, 0.14, 0.035)
    assert np.array_equal(rest.soles.axes, np.stack([np.eye(3)] * 2))
    for corners in rest.soles.corners:
        assert set(map(tuple, corners.tolist())) == set(map(tuple, SOLE.tolist()))
