"""The source `procedural`: seeds, parameters and error messages."""

from __future__ import annotations

import attrs
import numpy as np
import pytest

from mtrack import MotionError
from mtrack.api.fields import params_of
from mtrack_dev.help_text import help_of
from mtrack_procedural.kinds import CLIPS, DEFAULT, chosen
from mtrack_procedural.making import made_motion
from mtrack_procedural.plan import Draw
from mtrack_procedural.source import Procedural


def same(first, second) -> bool:
    return np.array_equal(first.joint_pos, second.joint_pos) and np.array_equal(first.root_pos, second.root_pos)


SOME = ("reach", "wave", "bow", "kick_left", "half_kneel_left", "walk", "turn_left")  # the kinds that draw differently
# frames; sums of the joint angles weighted 1 to 29, in frames 100 and 161; the root in frame 161
FIRST_FIVE = {
    "stand": (324, 53.655019, 52.221799, (0.000183, 0.000102, 0.772)),
    "squat": (398, 12.916954, 41.79378, (-0.038783, 1e-6, 0.717382)),
    "reach": (410, 6.753681, 46.387728, (-0.007539, 0.003039, 0.772)),
    "sway": (383, 53.286517, 50.928665, (-0.002645, -0.067051, 0.762)),
    "step_in_place": (349, 50.353818, 54.573876, (-0.006186, 0.077976, 0.752)),
}


def test_the_default_clips_do_not_change(g1):
    """Published learning results use these clips."""
    clips = Procedural().clips(g1)
    assert tuple(clip.name for clip in clips) == DEFAULT == tuple(FIRST_FIVE)
    for clip in clips:
        frames, first, second, root = FIRST_FIVE[clip.name]
        assert len(clip.joint_pos) == frames
        sums = clip.joint_pos[[100, 161]].astype(float) @ np.arange(1, 30)
        assert sums == pytest.approx([first, second], abs=2e-5)
        assert clip.root_pos[161] == pytest.approx(root, abs=2e-6)


def test_library_makes_every_built_in_clip(replays):
    clips = [replay.clip for replay in replays.values()]
    assert [clip.name for clip in clips] == list(CLIPS)
    assert set(DEFAULT) < set(CLIPS)
    for clip in clips:
        assert clip.fps == 50.0
        assert len(clip.joint_names) == 29
        assert {array.dtype for array in (clip.root_pos, clip.root_quat_wxyz, clip.joint_pos)} == {np.dtype("f4")}
        assert np.linalg.norm(clip.root_quat_wxyz, axis=1) == pytest.approx(1.0, abs=1e-6)


def test_a_seed_gives_the_same_clips_again(g1, replays):
    made_motion.cache_clear()
    for clip in Procedural(motions=SOME).clips(g1):
        assert same(clip, replays[clip.name].clip)


@pytest.mark.parametrize("motion", SOME)
def test_another_seed_gives_another_clip(motion, g1, replays):
    (other,) = Procedural(motions=(motion,), seed=4).clips(g1)
    assert not same(other, replays[motion].clip)


def test_a_clip_requested_again_has_its_own_arrays(g1):
    first, again = (Procedural(motions=("stand",)).clips(g1)[0] for _ in range(2))
    first.joint_pos[:] = 0.0
    assert not same(first, again)


def test_a_clip_named_twice_is_made_once():
    assert chosen(("walk", "library", "walk")) == ("walk", *(name for name in CLIPS if name != "walk"))


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_requested_side_is_used(side, g1):
    """By the one that kneels: its thigh stands upright, the other one's lies flat."""
    (clip,) = Procedural(motions=("half_kneel",), side=side).clips(g1)
    pitch = {name: clip.joint_pos[200, g1.joint_names.index(f"{name}_hip_pitch_joint")] for name in ("left", "right")}
    assert max(pitch, key=pitch.__getitem__) == side


def test_a_clip_does_not_change_when_others_are_made_too(g1, replays):
    (alone,) = Procedural(motions=("sway",)).clips(g1)
    assert same(alone, replays["sway"].clip)


def test_variants_of_a_motion_have_their_own_names_and_random_values(g1):
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


def test_an_unknown_motion_is_rejected_with_the_known_ones():
    with pytest.raises(
        ValueError, match=r"no built-in clip is named 'sqat'; did you mean 'squat'\? Choose from: stand, "
    ):
        Procedural(motions=("stand", "sqat"))


def test_no_motion_at_all_is_rejected():
    with pytest.raises(ValueError, match="is empty; choose from"):
        Procedural(motions=())


def test_a_step_too_quick_to_balance_is_rejected_with_what_to_change(g1):
    hasty = Procedural(motions=("step_in_place",), step_period=0.7, step_height=0.1)
    with pytest.raises(
        MotionError, match=r"'step_in_place' of robot 'g1': at \d.*zero-moment point.*step_\* parameters"
    ):
        hasty.clips(g1)


@pytest.mark.parametrize("draws", [(1, 1, 1, 1, 1), (1, -1, -1, -1, 1), (-1, 1, 1, 1, -1)])
@pytest.mark.parametrize("motion", ["walk_fast", "walk_curve_left", "sidestep_right", "kick_left", "half_kneel_right"])
def test_every_random_value_within_the_spread_gives_a_possible_clip(motion, draws, g1, monkeypatch):
    """Otherwise a run would fail for some seeds; these are the ends of the spread."""
    ends = iter(draws)
    monkeypatch.setattr(Draw, "near", lambda self, value: value * (1 + self.spread * next(ends)))
    made_motion.cache_clear()
    (clip,) = Procedural(motions=(motion,)).clips(g1)
    made_motion.cache_clear()
    assert len(clip.joint_pos) > 200


def test_feet_that_would_come_too_close_are_rejected_with_what_to_change(g1):
    with pytest.raises(
        MotionError, match=r"'walk' of robot 'g1': its feet would come too close .*walk less sideways.*walk_\* param"
    ):
        Procedural(motions=("walk",), walk_sideways=0.2, walk_period=0.8).clips(g1)


def test_a_pose_beyond_the_reach_of_the_legs_is_rejected_with_what_to_change(g1):
    with pytest.raises(MotionError, match=r"'walk' of robot 'g1': at frame .*cannot reach the feet.*walk_\* param"):
        Procedural(motions=("walk",), walk_speed=-0.5, walk_period=1.0).clips(g1)


def test_every_parameter_has_a_help_text():
    texts = help_of(Procedural)
    assert all(texts.get(name) for name in params_of(Procedural))
