"""The axis of a file that points up, the turn to z up, and whether left and right are swapped."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mtrack import MotionError
from mtrack_retarget.person import SIDES
from mtrack_retarget.robot_motion import Array

AXES = ("x", "y", "z", "-x", "-y", "-z")
_TURNS = {
    "x": ((0, 1, 0), (0, 0, 1), (1, 0, 0)),
    "y": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
    "z": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "-x": ((0, 0, 1), (0, 1, 0), (-1, 0, 0)),
    "-y": ((1, 0, 0), (0, 0, 1), (0, -1, 0)),
    "-z": ((1, 0, 0), (0, -1, 0), (0, 0, -1)),
}
"""Rotations, not mirror images, that turn each axis to z."""
_EXTENDED = 0.9
"""A person stands (or lies) if the head is at least this far from the ankles, of the largest distance."""
_ALIGNED = 0.85
"""Cosine of the angle between an axis and the body of a person who stands along it."""
_LEGS = 0.3
"""Smallest share of the legs in the distance from the ankles to the head of a rest pose that stands."""
_TILTED = 0.5
"""Cosine of the angle between the vertical and a body that does not stand any more."""
_MOST = 0.5
_NEARLY_ALL = 0.95
_ASK = "say which axis points up: --up y, z, -y, ..."

Parts = Mapping[str, Array]


def find_up(parts: Parts, rest: Parts | None, given: str | None, defined: str, place: str) -> tuple[str, str]:
    """Return the axis that points up: the given one, the one of the format, or the one that the person stands along.

    The second value says what was assumed; it is empty if the axis was not guessed. Raises MotionError.
    """
    if given is not None and given not in AXES:
        raise MotionError(f"{place}: --up {given}: is not one of {', '.join(AXES)}")
    if given is not None or defined:
        axis = given if given is not None else defined
        if float((_uprightness(_body(parts), axis) < -_TILTED).mean()) > _NEARLY_ALL:
            raise MotionError(
                f"{place}: with {axis} up, the person is upside down in nearly all frames; {_ASK}, or check the joint "
                "names"
            )
        return axis, ""
    axis, share = _upright_axis(_body(parts))
    if share < _MOST:
        raise MotionError(
            f"{place}: the person does not stand along one axis long enough to see which one points up; {_ASK}"
        )
    note = (
        f"that {axis} points up, because the person stands along it in {share:.0%} of the frames with a straight body"
    )
    standing = _rest_axis(rest) if rest is not None else ""
    if standing not in ("", axis):
        note += f" (but the rest pose stands along {standing}: give --up {standing} if the person lies)"
    return axis, note


def turn_up(pos: Array, axis: str) -> Array:
    """Return positions [..., 3] in axes whose z points along `axis`; not mirrored."""
    return np.asarray(pos @ np.array(_TURNS[axis], np.float64).T)


def check_not_mirrored(parts: Parts, place: str) -> str:
    """Raise MotionError if left and right are swapped relative to the toes, for a person with z up.

    Returns a note if this cannot be checked.
    """
    if not all(f"{side}_toe" in parts for side in SIDES):
        return "that left and right are as named: without toes this cannot be checked"
    forward = np.sum([parts[f"{side}_toe"] - parts[f"{side}_ankle"] for side in SIDES], axis=0)
    left = np.stack((-forward[:, 1], forward[:, 0]), axis=1)  # z up: forward turned by 90 degrees
    across = np.sum([parts[f"left_{part}"] - parts[f"right_{part}"] for part in ("hip", "shoulder")], axis=0)[:, :2]
    length = np.linalg.norm(left, axis=1) * np.linalg.norm(across, axis=1)
    upright = _uprightness(_body(parts), "z") > _TILTED  # toes of a lying person point anywhere
    cosine = ((left * across).sum(axis=1) / np.maximum(length, 1e-12))[upright]
    if not cosine.size:
        return "that left and right are as named: the person never stands, so this cannot be checked"
    if float(np.median(cosine)) < 0.0:
        raise MotionError(
            f"{place}: left and right are swapped: the toes point forwards, but the left hip and shoulder are on the "
            "right. The file has left-handed axes or swapped names: export it with right-handed axes, or swap left and "
            "right with --names FILE, which gives the mirror image of the motion"
        )
    return ""


def _body(parts: Parts, *tops: str) -> Array:
    """Return the vector from the ankles to a part, by default the head or the highest that there is, [T, 3]."""
    top = next((parts[part] for part in tops or ("head", "neck", "chest") if part in parts), None)
    if top is None:
        top = (parts["left_shoulder"] + parts["right_shoulder"]) / 2.0
    return np.asarray(top - (parts["left_ankle"] + parts["right_ankle"]) / 2.0)


def _rest_axis(rest: Parts) -> str:
    """Return the axis along which a rest pose stands; empty if it does not, e.g. if all its bones point along x."""
    body, legs = _body(rest), _body(rest, "pelvis")
    (axis, share), (of_legs, _) = _upright_axis(body), _upright_axis(legs)
    are_long = np.linalg.norm(legs) > _LEGS * np.linalg.norm(body)
    return axis if share and axis == of_legs and are_long else ""


def _uprightness(body: Array, axis: str) -> Array:
    """Return the cosine of the angle between an axis and a body, [T]."""
    return np.asarray(turn_up(body, axis)[:, 2] / np.maximum(np.linalg.norm(body, axis=1), 1e-12))


def _upright_axis(body: Array) -> tuple[str, float]:
    """Return the axis along which a body is straight in most frames, and their share of all frames in which it is."""
    length = np.linalg.norm(body, axis=1)
    extended = body[length >= _EXTENDED * np.percentile(length, 95.0)]
    directions = extended / np.maximum(np.linalg.norm(extended, axis=1, keepdims=True), 1e-12)
    along = np.concatenate((directions, -directions), axis=1) > _ALIGNED  # columns in the order of AXES
    shares = along.mean(axis=0)
    best = int(shares.argmax())
    return AXES[best], float(shares[best])
