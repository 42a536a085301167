"""The source `procedural`: seeds, parameters, and what it says when it cannot."""

from __future__ import annotations

import attrs
import numpy as np
import pytest

from mtrack.errors import MotionError
from mtrack.fields import params_of
from mtrack_dev.describe import help_of
from mtrack_procedural.source import MOTIONS, Procedural


def same(first, second) -> bool:
    return np.array_equal(first.joint_pos, second.joint_pos) and np.array_equal(first.root_pos, second.root_pos)


def test_every_motion_is_made_by_default(g1):
    clips = Procedural().clips(g1)
    assert tuple(clip.name for clip in clips) == MOTIONS
    for clip in clips:
        assert clip.fps == 50.0
        assert clip.joint_names == g1.joint_names
        assert {array.dtype for array in (clip.root_pos, clip.root_quat_wxyz, clip.joint_pos)} == {np.dtype("f4")}
        assert np.linalg.norm(clip.root_quat_wxyz, axis=1) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("motion", MOTIONS)
def test_a_seed_gives_the_same_clip_again(motion, g1):
    first, again = (Procedural(motions=(motion,), seed=3).clips(g1)[0] for _ in range(2))
    assert same(first, again)


@pytest.mark.parametrize("motion", MOTIONS)
def test_another_seed_gives_another_clip(motion, g1):
    first, other = (Procedural(motions=(motion,), seed=seed).clips(g1)[0] for seed in (3, 4))
    assert not same(first, other)


def test_a_clip_does_not_change_when_others_are_made_too(g1, replays):
    (alone,) = Procedural(motions=("sway",)).clips(g1)
    assert same(alone, replays["sway"].clip)


def test_variants_of_a_motion_have_names_and_draws_of_their_own(g1):
    first, second = Procedural(motions=("squat",), variants=2).clips(g1)
    assert (first.name, second.name) == ("squat_0", "squat_1")
    assert not same(first, second)


def test_without_spread_a_squat_is_exactly_as_deep_as_asked(g1):
    (clip,) = Procedural(motions=("squat",), spread=0.0, squat_depth=0.15).clips(g1)
    assert np.ptp(clip.root_pos[:, 2]) == pytest.approx(0.15, abs=1e-6)


def test_joints_follow_the_order_of_the_robot(g1, replays):
    backwards = attrs.evolve(
        g1,
        joint_names=g1.joint_names[::-1],
        **{
            name: getattr(g1, name).flip(0)
            for name in ("default_joint_pos", "joint_range", "velocity_limit", "effort_limit", "stiffness", "damping")
        },
    )
    (clip,) = Procedural(motions=("squat",)).clips(backwards)
    assert clip.joint_names == backwards.joint_names
    assert np.array_equal(clip.joint_pos[:, ::-1], replays["squat"].clip.joint_pos)


def test_an_unknown_motion_is_refused_with_the_known_ones():
    with pytest.raises(
        ValueError, match=r"no built-in clip is named 'sqat'; did you mean 'squat'\? There are: stand, "
    ):
        Procedural(motions=("stand", "sqat"))


def test_no_motion_at_all_is_refused():
    with pytest.raises(ValueError, match="names no clip"):
        Procedural(motions=())


def test_another_robot_is_refused_by_name(g1):
    other = attrs.evolve(g1, name="h1", joint_names=g1.joint_names[1:])
    with pytest.raises(MotionError, match=r"made for the Unitree G1.*'h1' has no joint 'left_hip_pitch_joint'"):
        Procedural().clips(other)


def test_a_robot_whose_feet_are_not_visible_is_refused(g1):
    other = attrs.evolve(g1, body_names=("pelvis",))
    with pytest.raises(MotionError, match="has no body 'left_ankle_roll_link'"):
        Procedural().clips(other)


def test_a_step_too_quick_to_balance_is_refused_with_what_to_change(g1):
    hasty = Procedural(motions=("step_in_place",), step_period=0.7, step_height=0.1)
    with pytest.raises(MotionError, match=r"'step_in_place' at \d.*zero-moment point.*step_\* parameters"):
        hasty.clips(g1)


def test_a_pose_beyond_the_reach_of_the_legs_is_refused_with_what_to_change(g1):
    tall = attrs.evolve(g1, default_root_pos=g1.default_root_pos + g1.default_root_pos.new_tensor([0, 0, 0.05]))
    with pytest.raises(MotionError, match=r"'squat' at frame .*cannot reach the feet"):
        Procedural(motions=("squat",)).clips(tall)


def test_every_parameter_has_a_help_text():
    texts = help_of(Procedural)
    assert all(texts.get(name) for name in params_of(Procedural))
