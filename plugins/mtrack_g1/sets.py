"""Named sets of the robot's joints and bodies, which recipes can use like names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import mujoco


def _pairs(*shapes: str) -> tuple[str, ...]:
    return tuple(f"{side}_{shape}" for shape in shapes for side in ("left", "right"))


_LOWER = _pairs("knee_link", "ankle_roll_link")
_UPPER = ("head_mimic", *_pairs("shoulder_yaw_link", "wrist_roll_link", "hand_mimic"))
_FEET = _pairs("ankle_roll_link")
_TOES = _pairs("ankle_roll_link_toe")
_HANDS = _pairs("hand_mimic")
_TRACKED = _pairs(
    *("hip_roll_link", "knee_link", "ankle_roll_link", "shoulder_roll_link", "elbow_link", "wrist_yaw_link")
)

BODIES = ("pelvis", "torso_link", *_LOWER, *_TOES, *_UPPER)

_BODY_SETS: Mapping[str, tuple[str, ...]] = {
    "root": ("pelvis",),
    "torso": ("torso_link",),
    "head": ("head_mimic",),
    "feet": _FEET,
    "toes": _TOES,
    "hands": _HANDS,
    "keypoints": _LOWER + _UPPER,
    "lower_keypoints": _LOWER,
    "upper_keypoints": _UPPER,
    "height_checked": ("pelvis", *_HANDS, *_FEET),
    # further links: a recipe that uses these sets lists them in robot.bodies
    "tracked_links": ("pelvis", "torso_link", *_TRACKED),
    "end_links": (*_FEET, *_pairs("wrist_yaw_link")),
}

_JOINT_SETS: Mapping[str, str] = {
    "legs": r".*_(hip_\w+|knee|ankle_\w+)_joint",
    "hips": r".*_hip_.*",
    "knees": r".*_knee_joint",
    "ankles": r".*_ankle_.*",
    "non_ankle": r"(?!.*_ankle_).*",
    "waist": r"waist_.*",
    "arms": r".*_(shoulder_\w+|elbow|wrist_\w+)_joint",
    "shoulders": r".*_shoulder_.*",
    "elbows": r".*_elbow_joint",
    "wrists": r".*_wrist_.*",
}


def joint_sets(joints: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the joint sets by name, each in the order of `joints`."""
    return {name: tuple(j for j in joints if re.fullmatch(pattern, j)) for name, pattern in _JOINT_SETS.items()}


def body_sets(model: mujoco.MjModel) -> dict[str, tuple[str, ...]]:
    """Return the body sets, with `non_feet`: the links that can collide but should not touch the ground."""
    colliding = {model.body(body).name for body in model.geom_bodyid[_collides(model)] if body > 0}
    ordered = (model.body(i).name for i in range(1, model.nbody))
    non_feet = tuple(name for name in ordered if name in colliding and name not in _FEET)
    return {**_BODY_SETS, "non_feet": non_feet}


def _collides(model: mujoco.MjModel) -> list[int]:
    return [i for i in range(model.ngeom) if model.geom_contype[i] or model.geom_conaffinity[i]]
