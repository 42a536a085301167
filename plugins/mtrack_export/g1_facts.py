"""Joints of the Unitree G1 with 29 motors, as other runtimes number them."""

from __future__ import annotations

from mtrack_export.contract import Facts

TORSO = "torso_link"


def _sides(*names: str) -> tuple[str, ...]:
    return tuple(f"{side}_{name}_joint" for side in ("left", "right") for name in names)


JOINTS = (
    *_sides("hip_pitch", "hip_roll", "hip_yaw", "knee", "ankle_pitch", "ankle_roll"),
    *(f"waist_{axis}_joint" for axis in ("yaw", "roll", "pitch")),
    *_sides("shoulder_pitch", "shoulder_roll", "shoulder_yaw", "elbow", "wrist_roll", "wrist_pitch", "wrist_yaw"),
)
"""In the order of the motors."""


def g1_obstacles(contract: Facts, anchor: str, runtime: str) -> list[str]:
    """Return what keeps a policy from a runtime that knows only the G1 and the torso's orientation."""
    found = []
    joints = contract["robot"]["joints"]
    if tuple(joint["name"] for joint in joints) != JOINTS:
        found.append(f"its robot is not the G1 with 29 joints in the order of the motors: {runtime} drives only that")
    elif [joint["motor_index"] for joint in joints] != list(range(len(JOINTS))):
        found.append(f"its motors are numbered in another way than the G1's: {runtime} has their numbers fixed")
    if anchor != TORSO:
        found.append(f"its anchor is '{anchor}': {runtime} serves the orientation of '{TORSO}'")
    return found
