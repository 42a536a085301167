"""A person's motion in the terms that every skeleton shares: positions of the parts of a body, in metres, z up."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from mtrack_retarget.robot_motion import Array

SIDES = ("left", "right")
MIDDLE_PARTS = ("pelvis", "chest", "neck", "head")
"""Chest: where the spine meets the neck and collar bones, or the last joint of the spine below that."""
SIDE_PARTS = ("hip", "knee", "ankle", "toe", "shoulder", "elbow", "wrist")
"""Each with a prefix: `left_hip`. Toe: the ball of the foot."""
REQUIRED_PARTS = ("pelvis", *(f"{side}_{part}" for side in SIDES for part in SIDE_PARTS if part != "toe"))


@attrs.frozen(eq=False)
class Person:
    """T frames of a person."""

    name: str
    """One line of text."""
    fps: float
    parts: Mapping[str, Array]
    """[T, 3] m in world axes, z up, for each part that the recording has: all of `REQUIRED_PARTS`, perhaps others."""
    source: str = ""
    licence: str = ""
