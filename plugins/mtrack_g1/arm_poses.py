"""Named poses of the robot's arms, which built-in clips use."""

from __future__ import annotations

from collections.abc import Mapping

from mtrack_g1.constants import mirror_sign, mirrored_name

# joint angles of the left arm; the shoulder's pitch axis is tilted, so a raised arm needs more roll
_LEFT: Mapping[str, Mapping[str, float]] = {
    "reach_forward": {"shoulder_pitch": -1.25, "shoulder_roll": 0.25, "elbow": 1.2},
    "reach_up": {"shoulder_pitch": -2.3, "shoulder_roll": 0.55, "elbow": 1.2},
    "reach_side": {"shoulder_pitch": -0.1, "shoulder_roll": 1.2, "elbow": 1.4},
    "counterweight": {"shoulder_pitch": -1.0, "shoulder_roll": 0.2, "elbow": 1.1},
    "hello": {"shoulder_pitch": -0.9, "shoulder_roll": 1.1, "shoulder_yaw": 0.6, "elbow": -0.15},
    "bowed": {"shoulder_pitch": -0.25, "shoulder_roll": 0.16, "elbow": 1.0},
}


def arm_poses() -> dict[str, dict[str, float]]:
    """Return the angles of both arms' joints [rad] by pose."""
    poses = {}
    for pose, angles in _LEFT.items():
        left = {f"left_{part}_joint": angle for part, angle in angles.items()}
        right = {mirrored_name(joint): angle * mirror_sign(joint) for joint, angle in left.items()}
        poses[pose] = left | right
    return poses
