"""The first joints of SMPL, SMPL-H and SMPL-X, which these body models have in common."""

from __future__ import annotations

BODY_JOINTS = (
    *("pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle"),
    *("spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head"),
    *("left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist"),
)
"""The 22 joints of the body. `foot` is the ball of the foot, `collar` the inner end of the collar bone."""
HANDS = ("left_hand", "right_hand")
"""SMPL's last two of 24 joints; the other models have fingers instead."""
BODY_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)
HAND_PARENTS = (20, 21)
