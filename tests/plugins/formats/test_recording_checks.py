"""Units, axes and rates are checked before orders, so that the real problem is reported; then orders of limbs."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from support.clips import ROBOT
from support.foreign import importer_of, write
from test_import_faults import walking_clip

from mtrack import MotionError
from mtrack_formats.joint_orders import G1_29, arm_orders, leg_orders
from mtrack_procedural.source import Procedural

NAME = "GMR npz, no bodies"


def importing(tmp_path, clip, fault=lambda content: None, **params):
    (found,) = importer_of(NAME, **params).clips(write(NAME, clip, tmp_path, fault), ROBOT)
    return found


def scaled(field, factor):
    return lambda content: content.update({field: np.asarray(content[field]) * factor})


def y_up(content):
    x, y, z = np.asarray(content["root_pos"]).T
    content["root_pos"] = np.stack((x, z, -y), axis=1)
    a, b, c, d = np.asarray(content["root_rot"]).T  # x, y, z, w
    half = np.sqrt(0.5)  # a turn of -90 degrees about x, before it
    content["root_rot"] = half * np.stack((a - d, b + c, c - b, d + a), axis=1)


CAUSES = {
    "degrees": (scaled("dof_pos", 180 / np.pi), "the joint angles are degrees, not radians"),
    "centimetres": (scaled("root_pos", 100.0), r"the root positions are centimetres.*divide them by 100"),
    "millimetres": (scaled("root_pos", 1000.0), r"the root positions are millimetres.*divide them by 1000"),
    "y up": (y_up, "y points up, not z"),
    "whole numbers": (lambda c: c.update(dof_pos=np.round(c["dof_pos"]).astype(int)), "whole numbers"),
    "no angles": (scaled("dof_pos", 0.0), "all joint angles are 0"),
    "no root": (scaled("root_pos", 0.0), "the root is at 0, 0, 0"),
    "not a rotation": (scaled("root_rot", 0.0), "a zero quaternion is not a rotation"),
    "not normalised": (scaled("root_rot", 2.0), "by the same factor; divide the quaternions by their norm"),
    "duration": (lambda c: c.update(fps=0.02), r"looks like the duration of a frame in s; the rate would be 50"),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_wrong_units_are_named_with_a_remedy_before_any_order(tmp_path, cause):
    fault, says = CAUSES[cause]
    with pytest.raises(MotionError, match=says) as caught:
        importing(tmp_path, walking_clip(), fault)
    assert "reorder" not in str(caught.value)
    assert "cut the clip" not in str(caught.value)


def test_an_impossible_rate_is_reported_before_its_consequences(tmp_path):
    with pytest.raises(ValueError, match="'fps' must be >= 1"):
        importing(tmp_path, walking_clip(), fps=-30.0)


@pytest.mark.parametrize("order", [*leg_orders(G1_29, ROBOT.model()), "with the left and right arms swapped"])
def test_another_order_of_legs_or_arms_is_rejected_and_named(tmp_path, order):
    (clip,) = Procedural(motions=("walk_curve_left",)).clips(ROBOT.model())
    joints = (leg_orders(G1_29, ROBOT.model()) | arm_orders(G1_29, ROBOT.model()))[order]

    def exchange(content):
        content["dof_pos"] = np.asarray(content["dof_pos"])[:, [G1_29.index(name) for name in joints]]

    with pytest.raises(MotionError, match=f"it looks as if it had joints {order}: read that way"):
        importing(tmp_path, clip, exchange)
    assert importing(tmp_path, clip, exchange, trust=True).fps == clip.fps


def test_orders_that_a_motion_does_not_reveal_are_logged(tmp_path, caplog):
    (clip,) = Procedural(motions=("squat",)).clips(ROBOT.model())
    with caplog.at_level(logging.WARNING):
        importing(tmp_path, clip)
    assert "the motion looks equally plausible with the left and right legs swapped" in caplog.text
    assert "not checked: the order within the waist, the ankles and the wrists" in caplog.text
