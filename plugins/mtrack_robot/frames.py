"""Derives frames that a model file rarely has: tips of toes and hands, top of the head, bodies with mirrored axes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from mtrack_robot.description import Frame
from mtrack_robot.parts import SIDES, HumanoidParts
from mtrack_robot.posing import Array, Posing, reflect
from mtrack_robot.soles import sole_corners

_TIP = 0.85  # share of the way from the last joint of an arm to the end of its shapes: the palm
_LEAST = 0.02  # m: a frame that is closer to its body's origin is not worth having
_TOE_HEIGHT = 0.01  # m above the sole
_CROWN = 0.08  # m below the top: the middle of a head
_DIGITS = 4


def make_frames(posing: Posing, parts: HumanoidParts, feet: Sequence[int]) -> dict[str, tuple[Frame, ...]]:
    """Return the frames of toes, hands and head, in the model's zero pose."""
    posing.put(posing.zero)
    taken = {posing.name(body) for body in posing.bodies}
    found: dict[str, tuple[Frame, ...]] = {}
    toe = _toe_place(posing, feet[0])
    if toe is not None:
        found["toes"] = _pair(posing, feet, "toe", toe, taken)
    if parts.arms is not None:
        ends = [arm.end for arm in parts.arms]
        hand = _hand_place(posing, ends[0], parts.arms[0].joints[-1])
        if hand is not None:
            found["hands"] = _pair(posing, ends, "hand", hand, taken)
    head = _head(posing, parts, _free_name("head", taken))
    return found | ({"head": (head,)} if head else {})


def aligned_frame(posing: Posing, body: int, taken: Iterable[str]) -> Frame:
    """Return a frame at a body's origin that is upright in the model's zero pose, so that left and right mirror."""
    turn = posing.put(posing.zero).xquat[body]
    w, x, y, z = turn
    return Frame(
        name=_free_name(f"{posing.name(body)}_upright", set(taken)),
        body=posing.name(body),
        pos=(0.0, 0.0, 0.0),
        quat_wxyz=tuple(round(float(value), 6) for value in (w, -x, -y, -z)),
    )


def _pair(posing: Posing, bodies: Sequence[int], name: str, left: Array, taken: set[str]) -> tuple[Frame, ...]:
    """Return frames on the left and right body, whose places are mirror images; `left` is [3] m."""
    names = [_free_name(f"{side}_{name}", taken) for side in SIDES]
    places = (left, reflect(left))
    return tuple(_frame(posing, *one) for one in zip(bodies, names, places, strict=True))


def _toe_place(posing: Posing, foot: int) -> Array | None:
    corners = sole_corners(posing, foot)
    return corners[:2].mean(0) + np.array([0.0, 0.0, _TOE_HEIGHT]) if len(corners) else None


def _hand_place(posing: Posing, hand: int, joint: int) -> Array | None:
    anchor = posing.anchor(joint)
    points = _shapes(posing, posing.rigid_group(hand))
    if not len(points):
        return None
    direction = points.mean(0) - anchor
    length = float(np.linalg.norm(direction))
    if length < _LEAST:
        return None
    direction /= length
    tip = anchor + _TIP * float(((points - anchor) @ direction).max()) * direction
    return np.asarray(tip) if np.linalg.norm(tip - posing.data.xpos[hand]) > _LEAST else None


def _head(posing: Posing, parts: HumanoidParts, name: str) -> Frame | None:
    body = parts.chest if parts.head is None else parts.head
    points = _shapes(posing, posing.rigid_group(body))
    if not len(points):
        return None
    top = float(points[:, 2].max())
    upper = points[points[:, 2] > top - 2 * _CROWN]
    place = np.array([(upper[:, 0].min() + upper[:, 0].max()) / 2, 0.0, top - _CROWN])
    return _frame(posing, body, name, place)


def _shapes(posing: Posing, bodies: Sequence[int]) -> Array:
    """Return points of the drawn shapes, or of the colliding ones if nothing is drawn."""
    for colliding in (False, True):
        points, _ = posing.shape_points(bodies, colliding=colliding)
        if len(points):
            return points
    return np.zeros((0, 3))


def _frame(posing: Posing, body: int, name: str, place: Array) -> Frame:
    local = (place - posing.data.xpos[body]) @ posing.data.xmat[body].reshape(3, 3)
    return Frame(name=name, body=posing.name(body), pos=tuple(float(v) for v in np.round(local, _DIGITS) + 0.0))


def _free_name(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_frame"
    return name
