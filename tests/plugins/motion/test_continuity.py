"""Jumps, spikes, repeated and missing frames are found by comparing steps with their neighbours; kicks are fine."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from support.clips import ROBOT

from mtrack import MotionError
from mtrack_motion.clip_checks import why_unusable
from mtrack_motion.continuity import breaks
from mtrack_motion.file import write_clip
from mtrack_motion.oddities import oddities
from mtrack_motion.source import MotionFiles
from mtrack_procedural.source import Procedural

MODEL = ROBOT.model()
(WALK,) = Procedural(motions=("walk",)).clips(MODEL)
KNEE = MODEL.joint_names.index("left_knee_joint")


def changed(frames, column=None, size=0.0, **fields):
    """Return the walk with something added to its root's x, or to a joint, in some frames."""
    name = "root_pos" if column is None else "joint_pos"
    values = getattr(WALK, name).copy()
    values[frames, column or 0] += size
    return attrs.evolve(WALK, **{name: values}, **fields)


def taken(index, fps=WALK.fps):
    return attrs.evolve(
        WALK,
        fps=fps,
        root_pos=WALK.root_pos[index],
        root_quat_wxyz=WALK.root_quat_wxyz[index],
        joint_pos=WALK.joint_pos[index],
    )


@pytest.mark.parametrize("name", ["walk_fast", "kick_left", "turn_left", "half_kneel_left"])
def test_a_smooth_motion_has_no_break(name):
    (clip,) = Procedural(motions=(name,)).clips(MODEL)
    assert breaks(clip, MODEL) == []


@pytest.mark.parametrize(
    ("clip", "says"),
    [
        (changed(slice(200, None), size=0.14), "the root jumps by 15.4 cm from frame 199 to 200"),
        (changed(200, size=0.1), "the root jumps by 11.4 cm in frame 200 alone"),
        (changed(slice(200, None), KNEE, 0.6), "left_knee_joint jumps by 0.6"),
    ],
    ids=["root", "spike", "knee"],
)
def test_a_jump_is_rejected_at_import_left_out_of_training_and_can_be_accepted(tmp_path, clip, says):
    assert says in why_unusable(clip, MODEL)
    with pytest.raises(MotionError, match=r"cut the clip there, or import it as it is with --trust"):
        oddities(clip, ROBOT)
    assert "unless its [motions.NAME] has allow_jumps = true" in oddities(clip, ROBOT, trust=True)[0]
    write_clip(tmp_path / "jump.npz", clip)
    write_clip(tmp_path / "walk.npz", attrs.evolve(WALK, name="smooth"))
    source = MotionFiles(path=tmp_path)
    assert len(source.clips(MODEL)) == 1
    assert says in source.left_out[clip.name]
    assert len(MotionFiles(path=tmp_path, allow_jumps=True).clips(MODEL)) == 2


def test_a_small_jump_is_reported_and_the_clip_is_used():
    clip = changed(slice(200, None), KNEE, 0.3)
    assert why_unusable(clip, MODEL) == ""
    assert any("left_knee_joint jumps by" in line for line in oddities(clip, ROBOT))


@pytest.mark.parametrize(
    ("index", "says"),
    [
        (np.repeat(np.arange(400), 2), "each appears 2 times on average"),
        (np.repeat(np.arange(400), 3), "each appears 3 times on average"),
        (np.floor(np.arange(0, 400, 0.6)).astype(int), "each appears 1.7 times on average"),
    ],
)
def test_repeated_frames_are_named_with_the_rate_they_came_from(index, says):
    reason = why_unusable(taken(index), MODEL)
    assert says in reason
    assert "remove the repeated frames and use" in reason


def test_missing_frames_are_reported():
    found = breaks(taken(np.r_[0:202, 204:431]), MODEL)
    (gap,) = (one for one in found if one.kind == "gap")
    assert "steps at once from frame 201 to 202" in gap.text
    assert not any(one.serious for one in found)
