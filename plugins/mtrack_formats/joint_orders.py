"""Joint orders that a file without names may have besides the documented one: of all, legs or arms."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence

from mtrack.robot import RobotModel

_AXIS = re.compile(r"(.*)_(pitch|roll|yaw)(_joint)?")


def whole_orders(joints: Sequence[str], model: RobotModel) -> dict[str, tuple[str, ...]]:
    """Return orders of all joints in which legs, arms and the others change places; none without such joint sets."""
    legs, arms = ([name for name in joints if name in model.sets.get(kind, ())] for kind in ("legs", "arms"))
    others = [name for name in joints if name not in legs and name not in arms]
    if not legs or not arms:
        return {}
    return {
        "with the others before the legs": (*others, *legs, *arms),
        "with the arms before the legs": (*arms, *legs, *others),
        "with left and right in turns": (*_in_turns(legs), *others, *_in_turns(arms)),
    }


def leg_orders(joints: Sequence[str], model: RobotModel) -> dict[str, tuple[str, ...]]:
    """Return orders that differ in the legs only: left and right exchanged, or the axes of the hips."""
    return _limb_orders(joints, model, "legs", "hips")


def arm_orders(joints: Sequence[str], model: RobotModel) -> dict[str, tuple[str, ...]]:
    """Return orders that differ in the arms only: left and right exchanged, or the axes of the shoulders."""
    return _limb_orders(joints, model, "arms", "shoulders")


def _limb_orders(joints: Sequence[str], model: RobotModel, limbs: str, first: str) -> dict[str, tuple[str, ...]]:
    inside = set(model.sets.get(limbs, ()))
    orders = {f"with the left and right {limbs} exchanged": _renamed(joints, _exchanged(joints, inside))}
    for axes, mapping in _turned_axes([name for name in joints if name in model.sets.get(first, ())]):
        orders[f"with the {first} in the order {axes}"] = _renamed(joints, mapping)
    return {name: order for name, order in orders.items() if order != tuple(joints) and set(order) == set(joints)}


def _exchanged(joints: Sequence[str], inside: set[str]) -> dict[str, str]:
    """Return the joint of the other side for each one of a limb."""
    sides = {"left": "right", "right": "left"}
    return {
        name: other
        for name in joints
        if name in inside and (other := re.sub("left|right", lambda side: sides[side[0]], name)) in joints
    }


def _turned_axes(joints: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield every other order of the axes of joints that have three, with the joint each of them becomes."""
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


def _in_turns(joints: Sequence[str]) -> list[str]:
    """Return the joints with each left one followed by its right one."""
    found: list[str] = []
    for name in joints:
        if name not in found:
            found += [name, other] if (other := name.replace("left", "right")) in joints and other != name else [name]
    return found
