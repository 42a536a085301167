"""Finds a humanoid's parts in its tree of bodies: pelvis, chest, head, and legs and arms with their joints."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

from mtrack_robot.posing import Posing
from mtrack_robot.sides import Sides

SIDES = ("left", "right")
_NEAR, _FAR = 0.25, 0.75  # shares of a limb's length: joints before, between and after these
_LEG_WORDS = (("hip",), ("knee",), ("ankle", "foot"))
_ARM_WORDS = (("shoulder",), ("elbow",), ("wrist", "hand"))
_TIE = 0.02  # m: bodies whose lowest points differ by less are equally low


@attrs.frozen
class Limb:
    """One leg or arm: bodies and joints from the trunk outwards."""

    bodies: tuple[int, ...]
    joints: tuple[int, ...]
    """Indices of joints."""
    upper: tuple[int, ...]
    """Its joints at the hip or shoulder."""
    middle: tuple[int, ...]
    """Its joints at the knee or elbow."""
    lower: tuple[int, ...]
    """Its joints at the ankle or wrist; may be empty."""

    @property
    def end(self) -> int:
        """The last body with a joint: foot or hand."""
        return self.bodies[-1]


@attrs.frozen(kw_only=True)
class HumanoidParts:
    """The parts of a humanoid. Bodies are MuJoCo's, joints are indices of `Posing`."""

    legs: tuple[Limb, Limb] | None
    """Left and right; None if there is no pair of legs."""
    arms: tuple[Limb, Limb] | None
    pelvis: int
    """The last body above both legs."""
    chest: int
    """The last body above both arms; without arms, the pelvis."""
    waist: tuple[int, ...]
    """Joints between pelvis and chest, in the order of the tree."""
    head: int | None
    """The highest body with a joint above the chest that belongs to no arm."""
    neck: tuple[int, ...]
    """Joints between chest and head."""


def find_parts(posing: Posing, sides: Sides) -> HumanoidParts:
    """Return the parts of a robot, in the model's zero pose."""
    posing.put(posing.zero)
    ends = _paired_ends(posing, sides)
    pair = _lowest_pair(posing, ends)
    legs, pelvis = _limbs(posing, pair, _LEG_WORDS) if pair else (None, posing.root)
    rest = [one for one in ends if pair is None or not _below(posing, one[0], pair, pelvis)]
    pair = max(rest, key=lambda one: _reach(posing, one[0]), default=None)
    arms, chest = _limbs(posing, pair, _ARM_WORDS) if pair else (None, pelvis)
    path = _path(posing, pelvis, chest)
    head = _head(posing, chest, sides)
    neck = posing.joints_of(posing.chain(head, chest)) if head is not None else []
    return HumanoidParts(
        legs=legs,
        arms=arms,
        pelvis=pelvis,
        chest=chest,
        waist=tuple(sorted(posing.joints_of(path))),
        head=head,
        neck=tuple(neck),
    )


def _paired_ends(posing: Posing, sides: Sides) -> list[tuple[int, int]]:
    """Return pairs (left, right) of bodies with joints that have a partner and no paired limb of their own below.

    Several paired chains on one body are fingers: the limb ends above them.
    """
    model = posing.model
    jointed = [body for body in posing.bodies if model.body_jntnum[body] and body != posing.root]
    paired = {body for body in jointed if posing.name(body) in sides.bodies}
    children: dict[int, list[int]] = {body: [] for body in (*paired, posing.root)}
    for body in paired:
        above = int(model.body_parentid[body])
        while above not in paired and above != 0:
            above = int(model.body_parentid[above])
        if above in children:
            children[above].append(body)
    ends = []
    for body in paired:
        path = [other for other in posing.chain(body, posing.root) if other in paired]
        is_finger = any(len(children[other]) > 1 for other in path[:-1])
        if is_finger or len(children[body]) == 1 or posing.data.xpos[body][1] <= 0:
            continue
        ends.append((body, int(model.body(sides.bodies[posing.name(body)]).id)))
    return ends


def _lowest_pair(posing: Posing, ends: Sequence[tuple[int, int]]) -> tuple[int, int] | None:
    """Return the pair whose shapes reach lowest, if they are below the root."""
    lowest = {pair: _lowest(posing, pair[0]) for pair in ends}
    pair = min(lowest, key=lambda one: lowest[one], default=None)
    return pair if pair is not None and lowest[pair] < posing.data.xpos[posing.root][2] - _TIE else None


def _lowest(posing: Posing, body: int) -> float:
    return min(float(posing.data.xpos[body][2]), posing.lowest_point(posing.rigid_group(body)))


def _below(posing: Posing, body: int, legs: tuple[int, int], pelvis: int) -> bool:
    first = [posing.chain(leg, pelvis)[0] for leg in legs]
    return any(top in posing.chain(body, posing.root) for top in first)


def _reach(posing: Posing, body: int) -> float:
    chain = posing.chain(body, posing.root)
    return float(sum(np.linalg.norm(posing.model.body_pos[part]) for part in chain))


def _limbs(posing: Posing, ends: tuple[int, int], words: Sequence[Sequence[str]]) -> tuple[tuple[Limb, Limb], int]:
    """Return both limbs and the last body above both."""
    above = [set(posing.chain(end, 0)) for end in ends]
    trunk = max(above[0] & above[1], key=lambda body: len(posing.chain(body, 0)))
    left, right = (_limb(posing, posing.chain(end, trunk), words) for end in ends)
    return (left, right), trunk


def _limb(posing: Posing, bodies: Sequence[int], words: Sequence[Sequence[str]]) -> Limb:
    joints = posing.joints_of(bodies)
    parts = _by_name(posing, joints, words) or _by_place(posing, joints, bodies[-1])
    return Limb(tuple(bodies), tuple(joints), *(tuple(part) for part in parts))


def _by_name(posing: Posing, joints: Sequence[int], words: Sequence[Sequence[str]]) -> list[list[int]] | None:
    """Return the joints of the three parts, if every name tells its part and the first two parts have joints."""
    parts: list[list[int]] = [[], [], []]
    for joint in joints:
        name = posing.joint_names[joint].lower()
        part = next((i for i, some in enumerate(words) if any(word in name for word in some)), None)
        if part is None:
            return None
        parts[part].append(joint)
    return parts if parts[0] and parts[1] else None


def _by_place(posing: Posing, joints: Sequence[int], end: int) -> list[list[int]]:
    """Return the joints of the three parts by where they are between the first joint and the limb's end."""
    anchors = np.array([posing.anchor(joint) for joint in joints])
    steps = np.linalg.norm(np.diff(anchors, axis=0), axis=1)
    along = np.concatenate(([0.0], np.cumsum(steps)))
    whole = max(float(along[-1] + np.linalg.norm(posing.data.xpos[end] - anchors[-1])), 1e-6)
    share = along / whole
    near = [joint for joint, at in zip(joints, share, strict=True) if at < _NEAR]
    far = [joint for joint, at in zip(joints, share, strict=True) if at > _FAR]
    return [near, [joint for joint in joints if joint not in near and joint not in far], far]


def _path(posing: Posing, one: int, other: int) -> list[int]:
    """Return the bodies between two bodies of the trunk: those below the last one that is above both."""
    up = {one: posing.chain(one, 0), other: posing.chain(other, 0)}
    shared = set(up[one]) & set(up[other])
    return [body for body in (*up[one], *up[other]) if body not in shared]


def _head(posing: Posing, chest: int, sides: Sides) -> int | None:
    """Return the last jointed body above the chest, on the middle line."""
    model = posing.model
    bodies = [
        body
        for body in posing.bodies
        if model.body_jntnum[body]
        and chest in posing.chain(body, 0)[:-1]
        and posing.name(body) not in sides.bodies
        and posing.data.xpos[body][2] > posing.data.xpos[chest][2]
    ]
    return max(bodies, key=lambda body: len(posing.chain(body, 0)), default=None)
