"""Joint orders of files without joint names: the documented ones of the Unitree G1, and others a file may have."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence

from mtrack import RobotModel

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
"""All joints: legs, waist, arms, each from the root outwards; the documented order."""

WRISTS = _side("left", _WRIST) + _side("right", _WRIST)

G1_23 = tuple(name for name in G1_29 if name not in WRISTS)
"""The documented order without the six wrist joints."""


def axis_of(joint: str) -> int:
    """Return the axis of the parent link about which a joint at zero turns: 0 (x), 1 (y) or 2 (z)."""
    if "_roll" in joint:
        return 0
    return 2 if "_yaw" in joint else 1


_AXIS = re.compile(r"(.*)_(pitch|roll|yaw)(_joint)?")


def whole_orders(joints: Sequence[str], model: RobotModel) -> dict[str, tuple[str, ...]]:
    """Return orders in which legs, arms and other joints are swapped; empty if the robot has no such joint sets."""
    legs, arms = ([name for name in joints if name in model.sets.get(kind, ())] for kind in ("legs", "arms"))
    others = [name for name in joints if name not in legs and name not in arms]
    if not legs or not arms:
        return {}
    return {
        "with the others before the legs": (*others, *legs, *arms),
        "with the arms before the legs": (*arms, *legs, *others),
        "with left and right alternating": (*_alternating(legs), *others, *_alternating(arms)),
    }


def leg_orders(joints: Sequence[str], model: RobotModel) -> dict[str, tuple[str, ...]]:
    """Return orders that differ only in the legs: left and right swapped, or the hip axes reordered."""
    return _limb_orders(joints, model, "legs", "hips")


def arm_orders(joints: Sequence[str], model: RobotModel) -> dict[str, tuple[str, ...]]:
    """Return orders that differ only in the arms: left and right swapped, or the shoulder axes reordered."""
    return _limb_orders(joints, model, "arms", "shoulders")


def _limb_orders(joints: Sequence[str], model: RobotModel, limbs: str, first: str) -> dict[str, tuple[str, ...]]:
    limb_joints = set(model.sets.get(limbs, ()))
    orders = {f"with the left and right {limbs} swapped": _renamed(joints, _swapped_sides(joints, limb_joints))}
    for axes, mapping in _reordered_axes([name for name in joints if name in model.sets.get(first, ())]):
        orders[f"with the {first} in the order {axes}"] = _renamed(joints, mapping)
    return {name: order for name, order in orders.items() if order != tuple(joints) and set(order) == set(joints)}


def _swapped_sides(joints: Sequence[str], limb_joints: set[str]) -> dict[str, str]:
    """Map each joint of the limbs to the same joint of the other side."""
    sides = {"left": "right", "right": "left"}
    return {
        name: other
        for name in joints
        if name in limb_joints and (other := re.sub("left|right", lambda side: sides[side[0]], name)) in joints
    }


def _reordered_axes(joints: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield every other order of three joint axes, with the joint that each joint becomes."""
    axes: list[str] = list(dict.fromkeys(match[2] for name in joints if (match := _AXIS.fullmatch(name))))
    if len(axes) != 3:
        return
    for order in list(itertools.permutations(axes))[1:]:
        other = dict(zip(axes, order, strict=True))
        yield (
            ", ".join(order),
            {n: f"{m[1]}_{other[m[2]]}{m[3] or ''}" for n in joints if (m := _AXIS.fullmatch(n))},
        )


def _renamed(joints: Sequence[str], mapping: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(mapping.get(name, name) for name in joints)


def _alternating(joints: Sequence[str]) -> list[str]:
    """Return the joints with each left joint followed by its right one."""
    found: list[str] = []
    for name in joints:
        if name not in found:
            other = name.replace("left", "right")
            found += [name, other] if other in joints and other != name else [name]
    return found
