"""Joint orders of the Unitree G1 in files that name no joints, and the axis each joint turns about."""

from __future__ import annotations

_LEG = ("hip_pitch", "hip_roll", "hip_yaw", "knee", "ankle_pitch", "ankle_roll")
_WAIST = ("waist_yaw_joint", "waist_roll_joint", "waist_pitch_joint")
_ARM = ("shoulder_pitch", "shoulder_roll", "shoulder_yaw", "elbow")
_WRIST = ("wrist_roll", "wrist_pitch", "wrist_yaw")


def _side(side: str, parts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{side}_{part}_joint" for part in parts)


G1_29 = (
    *_side("left", _LEG),
    *_side("right", _LEG),
    *_WAIST,
    *_side("left", _ARM + _WRIST),
    *_side("right", _ARM + _WRIST),
)
"""All joints: legs, waist, arms, each from the root outwards."""

WRISTS = _side("left", _WRIST) + _side("right", _WRIST)

G1_23 = tuple(name for name in G1_29 if name not in WRISTS)
"""The same order without the six wrist joints."""


def axis_of(joint: str) -> int:
    """Return the axis of the parent link a joint turns about at zero: 0 x, 1 y, 2 z."""
    return 0 if "_roll" in joint else 2 if "_yaw" in joint else 1
