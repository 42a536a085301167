"""Signs of a wrongly read motion are named; a correct motion has none."""

from __future__ import annotations

import re

import attrs
import numpy as np
import pytest
from support.clips import SAMPLES, needs_samples, swaying_clip

from mtrack import MotionError
from mtrack_formats.asap import AsapPickle
from mtrack_g1.robot import G1
from mtrack_motion.oddities import oddities


def test_a_correct_motion_has_no_oddity():
    assert oddities(swaying_clip(), G1()) == []


@needs_samples
@pytest.mark.parametrize("name", ["walk_level1", "squat_level3", "jump_forward_level4"])
def test_a_sample_motion_has_no_oddity(name):
    (clip,) = AsapPickle(fill_missing=True).clips(SAMPLES / "asap" / f"{name}.pkl", G1())
    assert oddities(clip, G1()) == []


def test_a_much_too_high_rate_is_detected_by_speeds():
    found = "\n".join(oddities(attrs.evolve(swaying_clip(fps=20.0), fps=900.0), G1()))
    assert "1.0 m/s" not in found
    assert "above its speed limit" not in found
    fast = swaying_clip()
    swing = fast.joint_pos.copy()
    swing[::2, 3] += 1.0
    found = "\n".join(oddities(attrs.evolve(fast, joint_pos=swing.astype(np.float32)), G1(), trust=True))
    assert "left_knee_joint" in found
    assert "is 50 fps right?" in found


def test_a_joint_far_beyond_its_range_is_named():
    clip = swaying_clip()
    bent = clip.joint_pos.copy()
    bent[:, 3] += 3.0
    found = "\n".join(oddities(attrs.evolve(clip, joint_pos=bent), G1()))
    assert "left_knee_joint is at" in found
    assert "beyond its range" in found


@pytest.mark.parametrize("shift", [-0.2, 0.2])
def test_soles_far_from_the_floor_are_named(shift):
    clip = swaying_clip()
    moved = clip.root_pos + np.array([0, 0, shift], np.float32)
    (found,) = oddities(attrs.evolve(clip, root_pos=moved), G1())
    height = float(re.search(r"the lower sole is (\S+) m from the floor", found)[1])
    assert height == pytest.approx(shift, abs=0.01)


def test_a_quaternion_in_another_order_is_rejected():
    clip = swaying_clip()
    with pytest.raises(MotionError, match=r"upside down.*another order"):
        oddities(attrs.evolve(clip, root_quat_wxyz=clip.root_quat_wxyz[:, [3, 0, 1, 2]]), G1())
