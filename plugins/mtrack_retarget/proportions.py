"""The lengths of a person's bones: height, the unit that fits it, and bones that cannot be right."""

from __future__ import annotations

import math
from collections.abc import Mapping

import attrs
import numpy as np

from mtrack import MotionError
from mtrack_retarget.person import SIDES
from mtrack_retarget.robot_motion import Array

UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "in": 0.0254, "cmu": 0.0254 / 0.45}
"""Metres per unit, by the name for --unit. CMU's own files are scaled by 0.45."""
_UNIT_TITLES = {"m": "metres", "cm": "centimetres", "mm": "millimetres", "in": "inches", "cmu": "CMU's 1/0.45 inch"}
_USUAL_HEIGHT = 1.7
HEIGHTS = (0.9, 2.3)
"""Height of a person [m]."""
BONES = {
    "thigh": ("hip", "knee"),
    "shin": ("knee", "ankle"),
    "upper arm": ("shoulder", "elbow"),
    "forearm": ("elbow", "wrist"),
}
_LEG = (BONES["thigh"], BONES["shin"])
_MOST_CHANGE = 0.2
_ZERO_LENGTH = 0.01
"""Share of the height."""
_SHARES = {"head": 0.83, "neck": 0.77, "chest": 0.66}
"""Length of the chain from the ankle up to this joint, of the height."""
_LEG_SHARE = 0.48
_STRAIGHT = 95.0
"""Percentile of the distance between joints that have others between them: when the back is straight."""
_EXTREMES = (2.5, 97.5)

Parts = Mapping[str, Array]


@attrs.frozen
class Unit:
    """The unit of a file."""

    metres: float
    title: str


def body_height(parts: Parts) -> float:
    """Return the height of a person in the unit of the file, estimated from the bones between ankle and head."""
    leg = float(
        np.mean([np.median(_distance(parts, f"{side}_{a}", f"{side}_{b}")) for side in SIDES for a, b in _LEG]) * 2.0
    )
    top = next((part for part in _SHARES if part in parts), "")
    if not top:
        return leg / _LEG_SHARE
    trunk, below = 0.0, (parts["left_hip"] + parts["right_hip"]) / 2.0
    for part in ("chest", "neck", "head"):
        if part in parts:
            trunk += float(np.percentile(np.linalg.norm(parts[part] - below, axis=1), _STRAIGHT))
            below = parts[part]
    return (leg + trunk) / _SHARES[top]


def check_bones(parts: Parts, height: float, names: Mapping[str, str], place: str) -> None:
    """Raise MotionError if a bone of a limb has no length, or changes it, naming joint and frame."""
    for side in SIDES:
        for bone, (above, below) in BONES.items():
            start, end = f"{side}_{above}", f"{side}_{below}"
            lengths = _distance(parts, start, end)
            usual = float(np.median(lengths))
            between = f"the {side} {bone}, from '{names[start]}' to '{names[end]}',"
            if usual < _ZERO_LENGTH * height:
                raise MotionError(
                    f"{place}: {between} has no length ({usual:.3g} in the file's unit): two joints are at the same "
                    "point; name the right ones with --names FILE"
                )
            low, high = np.percentile(lengths, _EXTREMES)
            if high - low > _MOST_CHANGE * usual:
                frame = int(np.abs(lengths - usual).argmax())
                raise MotionError(
                    f"{place}: {between} changes its length from {low:.3g} to {high:.3g} (frame {frame}: "
                    f"{lengths[frame]:.3g}): the joints are in another order or the frames in different units; check "
                    "the joint names and export it again"
                )


def find_unit(height: float, given: str | None, defined: float | None, place: str) -> tuple[Unit, str]:
    """Return the unit: the given one, the one of the format, or the one that fits the height best.

    The second value says what was assumed; it is empty if the unit was not guessed. Raises MotionError.
    """
    if given is not None or defined is not None:
        unit = _named(given, place) if given is not None else Unit(defined or 1.0, _title(defined or 1.0))
        if not HEIGHTS[0] <= height * unit.metres <= HEIGHTS[1]:
            fitting = _fitting(height)
            remedy = f"--unit {fitting} fits" if fitting else "check --names, and give the right --unit in metres"
            who = "with --unit" if given is not None else "in the unit of its format,"
            raise MotionError(
                f"{place}: {who} {unit.title}, the person is {height * unit.metres:.3g} m tall along the bones; "
                f"expected {HEIGHTS[0]:g} to {HEIGHTS[1]:g} m: {remedy}"
            )
        return unit, ""
    name = _fitting(height)
    if not name:
        raise MotionError(
            f"{place}: the person is {height:.3g} units tall along the bones, which is not a person in metres, "
            "centimetres, millimetres, inches or CMU's unit; give the length of a unit in metres: --unit 0.0123"
        )
    return Unit(UNITS[name], _UNIT_TITLES[name]), f"the unit, from the height of {height:.4g} along the bones"


def _fitting(height: float) -> str:
    """Return the unit in which a height is nearest to a usual one; empty if it is a person's in none."""
    possible = {
        abs(math.log(height * metres / _USUAL_HEIGHT)): name
        for name, metres in UNITS.items()
        if HEIGHTS[0] <= height * metres <= HEIGHTS[1]
    }
    return possible[min(possible)] if possible else ""


def _named(given: str, place: str) -> Unit:
    if given in UNITS:
        return Unit(UNITS[given], _UNIT_TITLES[given])
    try:
        metres = float(given)
    except ValueError:
        metres = 0.0
    if not 0.0 < metres < np.inf:
        raise MotionError(
            f"{place}: --unit {given}: is neither {', '.join(UNITS)} nor the length of a unit in metres, such as 0.01"
        )
    return Unit(metres, _title(metres))


def _title(metres: float) -> str:
    return next((_UNIT_TITLES[name] for name, known in UNITS.items() if known == metres), f"units of {metres:g} m")


def _distance(parts: Parts, a: str, b: str) -> Array:
    return np.asarray(np.linalg.norm(parts[a] - parts[b], axis=1))
