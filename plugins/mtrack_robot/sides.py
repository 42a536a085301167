"""Finds which joints and bodies are mirror images of each other, from their names and from where they are."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import attrs
import numpy as np

from mtrack_robot.posing import Array, Posing, reflect

POSITION_TOLERANCE = 1e-3
"""m, between a body and the mirror image of its partner."""
_NEAR = 0.01  # m: in a search for the partner of a body without a usable name
_AXIS = 0.98  # least cosine between a joint's axis and the mirror image of its partner's
_ROTATION = 0.02  # rad
_POSES, _SHARE = 8, 0.4  # random poses of a mirror check, and the share of the ranges that they use
_WORDS = (("left", "right"), ("Left", "Right"), ("LEFT", "RIGHT"))
_LETTERS = {"l": "r", "r": "l", "L": "R", "R": "L"}


@attrs.frozen
class Sides:
    """Mirror partners by name, in both directions; a name without an entry is in the middle."""

    joints: Mapping[str, str]
    signs: Mapping[str, float]
    """Sign of every joint's angle when the robot is mirrored."""
    bodies: Mapping[str, str]
    by_position: frozenset[str]
    """Names whose partner was found by position, because their names do not tell."""


def named_partners(name: str, known: Collection[str]) -> list[str]:
    """Return the names that differ from `name` only in its side: left and right, or one letter l and r."""
    found = [name.replace(a, b, 1) for left, right in _WORDS for a, b in ((left, right), (right, left)) if a in name]
    for place, letter in enumerate(name):
        if letter in _LETTERS:
            found.append(name[:place] + _LETTERS[letter] + name[place + 1 :])
    return [other for other in dict.fromkeys(found) if other in known]


def side_in_name(name: str, partner: str) -> str:
    """Return the side, left or right, that a name says in comparison with its partner's; empty if it says none."""
    place = next((i for i, (a, b) in enumerate(zip(name, partner, strict=False)) if a != b), None)
    if place is None or name[place] not in _LETTERS:
        return ""
    return "left" if name[place] in "lL" else "right"


def find_sides(posing: Posing) -> Sides:
    """Return the mirror partners in the model's zero pose."""
    data = posing.put(posing.zero)
    position = {posing.name(body): np.array(data.xpos[body]) for body in posing.bodies}
    depth = {posing.name(body): len(posing.chain(body, posing.root)) for body in posing.bodies}
    bodies: dict[str, str] = {}
    by_position: set[str] = set()
    for name, place in position.items():
        if partners := [other for other in named_partners(name, position) if depth[other] == depth[name]]:
            bodies[name] = min(partners, key=lambda other: _gap(place, position[other]))
            continue
        rivals = [other for other in position if other != name and depth[other] == depth[name]]
        rivals = [other for other in rivals if not named_partners(other, position)]
        rivals = [other for other in rivals if _gap(place, position[other]) < _NEAR < abs(place[1])]
        if len(rivals) == 1:
            bodies[name] = rivals[0]
            by_position.add(name)
    bodies = {name: other for name, other in bodies.items() if bodies.get(other) == name}
    joints = _joint_partners(posing, bodies, by_position)
    signs = {name: _sign(posing, name, joints.get(name, name)) for name in posing.joint_names}
    return Sides(joints, signs, bodies, frozenset(by_position))


def mirrored(posing: Posing, joints: Mapping[str, str], signs: Mapping[str, float], angles: Array) -> Array:
    """Return the mirror image of joint angles [J] rad."""
    return np.array(
        [signs[name] * angles[posing.index[joints.get(name, name)]] for name in posing.joint_names], dtype=float
    )


def mirror_problems(
    posing: Posing, joints: Mapping[str, str], signs: Mapping[str, float], bodies: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield the name of a joint or body, and why the mirror image of a pose is not a pose of mirrored bodies.

    Bodies are checked that have joints; others are often sensors on one side.
    """
    found = list(_axis_problems(posing, joints, signs))
    yield from found
    yield from _range_problems(posing, joints, signs)
    yield from _side_problems(posing, bodies)
    if found:
        return  # the poses differ because of these
    worst = pose_errors(posing, joints, signs, bodies)
    ordered = sorted(worst.items(), key=lambda item: len(posing.chain(int(posing.model.body(item[0]).id), posing.root)))
    for name, (gap, _) in ordered:
        if gap > POSITION_TOLERANCE and posing.model.body(name).jntnum[0]:
            partner = bodies.get(name, name)
            yield name, f"in a mirrored pose it is {1000 * gap:.1f} mm from the mirror image of '{partner}'"
            return  # everything below it differs too


def pose_errors(
    posing: Posing, joints: Mapping[str, str], signs: Mapping[str, float], bodies: Mapping[str, str]
) -> dict[str, tuple[float, float]]:
    """Return for each body its largest distance [m] and angle [rad] from its partner's mirror image in random poses."""
    rng = np.random.default_rng(0)
    low, high = posing.range.T
    worst = {posing.name(body): (0.0, 0.0) for body in posing.bodies}
    for _ in range(_POSES):
        angles = posing.zero + _SHARE * rng.uniform(low - posing.zero, high - posing.zero)
        data = posing.put(angles)
        position, turn = data.xpos.copy(), data.xmat.reshape(-1, 3, 3).copy()
        data = posing.put(mirrored(posing, joints, signs, angles))
        for body in posing.bodies:
            name = posing.name(body)
            other = int(posing.model.body(bodies.get(name, name)).id)
            gap = float(np.linalg.norm(reflect(position[other]) - data.xpos[body]))
            image = turn[other] * np.outer((1.0, -1.0, 1.0), (1.0, -1.0, 1.0))
            trace = float(np.trace(image.T @ data.xmat[body].reshape(3, 3)))
            angle = float(np.arccos(np.clip((trace - 1.0) / 2.0, -1.0, 1.0)))
            worst[name] = max(worst[name][0], gap), max(worst[name][1], angle)
    return worst


def _gap(one: Array, other: Array) -> float:
    return float(np.linalg.norm(reflect(one) - other))


def _joint_partners(posing: Posing, bodies: Mapping[str, str], by_position: set[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in posing.joint_names:
        holder = posing.name(int(posing.model.jnt_bodyid[posing.joint_ids[posing.index[name]]]))
        on_partner = [
            posing.joint_names[i] for i in posing.joints_of([int(posing.model.body(bodies.get(holder, holder)).id)])
        ]
        partners = named_partners(name, posing.joint_names)
        if partners:
            found[name] = next((other for other in partners if other in on_partner), partners[0])
        elif holder in bodies:
            own = [posing.joint_names[i] for i in posing.joints_of([int(posing.model.body(holder).id)])]
            if len(own) == len(on_partner):
                found[name] = on_partner[own.index(name)]
                by_position.add(name)
    return {name: other for name, other in found.items() if found.get(other) == name}


def _sign(posing: Posing, name: str, partner: str) -> float:
    return 1.0 if _axis_cosine(posing, name, partner) > 0 else -1.0


def _axis_cosine(posing: Posing, name: str, partner: str) -> float:
    # an axis is a pseudovector: its mirror image is the negative reflection
    image = -reflect(posing.axis(posing.index[partner]))
    return float(image @ posing.axis(posing.index[name]))


def _axis_problems(posing: Posing, joints: Mapping[str, str], signs: Mapping[str, float]) -> Iterator[tuple[str, str]]:
    posing.put(posing.zero)
    for name in posing.joint_names:
        partner = joints.get(name, name)
        cosine = _axis_cosine(posing, name, partner)
        other = f"that of '{partner}'" if partner != name else "itself"
        if abs(cosine) < _AXIS:
            axis = ", ".join(f"{value:.2f}" for value in posing.axis(posing.index[name]))
            yield name, f"its axis ({axis}) is not the mirror image of {other}"
        elif cosine * signs[name] < 0:
            yield name, f"its mirror sign is {signs[name]:+.0f}, but its axis and {other} give {-signs[name]:+.0f}"


def _range_problems(posing: Posing, joints: Mapping[str, str], signs: Mapping[str, float]) -> Iterator[tuple[str, str]]:
    for name in posing.joint_names:
        partner = joints.get(name, name)
        low, high = posing.range[posing.index[partner]]
        if signs[name] < 0:
            low, high = -high, -low
        own = posing.range[posing.index[name]]
        if np.abs(own - (low, high)).max() > _ROTATION and name <= partner:
            yield (
                name,
                f"its range {own[0]:.2f} to {own[1]:.2f} rad is not the mirror image of that of '{partner}', which is "
                f"{low:.2f} to {high:.2f}",
            )


def _side_problems(posing: Posing, bodies: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    data = posing.put(posing.zero)
    for name, partner in bodies.items():
        y = float(data.xpos[int(posing.model.body(name).id)][1])
        side = side_in_name(name, partner)
        if side and abs(y) > _NEAR and (side == "left") != (y > 0):
            yield name, f"its name says {side}, but it is on the {'left' if y > 0 else 'right'} side (y = {y:.2f} m)"
