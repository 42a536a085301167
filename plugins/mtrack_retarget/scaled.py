"""Scales a person to a robot: the same directions of limbs and trunk, with the robot's lengths."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import numpy as np

from mtrack_retarget.person import SIDES, Person
from mtrack_retarget.robot_limbs import RobotLimbs
from mtrack_retarget.robot_motion import Array

_UP = np.array([0.0, 0.0, 1.0])
_PAIRED = ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
_CLUSTER = 0.03  # m: points of the pelvis that are nearer to each other do not tell its tilt
_STRAIGHT = 0.97  # of a limb's reach: a longer target is shortened, so that it stays below the reach
_PLANE = 0.3  # weight of the plane of the leg, and in that of the pelvis, for how a foot is turned about its toes
_UPRIGHT_SHARE = 0.1  # of the frames: the most upright ones, whose middle defines an upright trunk


@attrs.frozen(eq=False)
class ScaledPerson:
    """A person with a robot's proportions in T frames, in world axes, left before right."""

    fps: float
    pelvis_pos: Array
    """[T, 3] m."""
    pelvis_rot: Array
    """[T, 3, 3]; upright and facing x is the identity."""
    chest_rot: Array
    """[T, 3, 3]."""
    foot_rot: Array
    """[T, 2, 3, 3]; flat and pointing to x is the identity."""
    sites: Mapping[str, Array]
    """[T, 2, 3] m of knees, ankles, elbows and wrists."""
    scale: float
    """Length of the robot's legs, divided by that of the person's."""

    def part(self, first: int, end: int) -> ScaledPerson:
        """Return the frames from `first` to before `end`."""
        frames = slice(first, end)
        return attrs.evolve(
            self,
            pelvis_pos=self.pelvis_pos[frames],
            pelvis_rot=self.pelvis_rot[frames],
            chest_rot=self.chest_rot[frames],
            foot_rot=self.foot_rot[frames],
            sites={name: pos[frames] for name, pos in self.sites.items()},
        )


def scaled(person: Person, limbs: RobotLimbs) -> ScaledPerson:
    """Return a person scaled to a robot's limbs."""
    parts = person.parts
    both = {part: np.stack([parts[f"{side}_{part}"] for side in SIDES], axis=1) for part in _PAIRED}
    upright = _most_upright(parts, both)
    hip_middle = both["hip"].mean(axis=1)
    lateral = both["hip"][:, 0] - both["hip"][:, 1]
    pelvis_up = parts["pelvis"] - hip_middle
    chest = parts.get("chest", both["shoulder"].mean(axis=1))
    if np.linalg.norm(pelvis_up, axis=1).mean() < _CLUSTER:
        pelvis_up = chest - parts["pelvis"]
    pelvis_rot = _from_upright(_axes(lateral, pelvis_up), upright)
    neck = parts.get("neck", both["shoulder"].mean(axis=1))
    chest_up = neck - chest
    if np.linalg.norm(chest_up, axis=1).mean() < _CLUSTER:
        chest_up = chest - parts["pelvis"]
    chest_rot = _from_upright(_axes(both["shoulder"][:, 0] - both["shoulder"][:, 1], chest_up), upright)
    leg = np.linalg.norm(both["knee"] - both["hip"], axis=-1) + np.linalg.norm(both["ankle"] - both["knee"], axis=-1)
    scale = limbs.leg / float(np.median(leg))
    floor = float(np.quantile(both["ankle"][..., 2].min(axis=1), 0.05))
    # the middle of the hips, not the pelvis: skeletons disagree on where that is
    middle = hip_middle * scale + _UP * (limbs.ankle_height - floor * scale)
    pelvis_pos = middle - np.einsum("tij,j->ti", pelvis_rot, limbs.hips.mean(axis=0))
    hips = pelvis_pos[:, None] + np.einsum("tij,kj->tki", pelvis_rot, limbs.hips)
    knees = hips + _unit(both["knee"] - both["hip"]) * limbs.thighs[:, None]
    ankles = knees + _unit(both["ankle"] - both["knee"]) * limbs.shins[:, None]
    sites = {"knee": knees, "ankle": _within(ankles, hips, limbs.leg_reach)}
    if len(limbs.shoulders):
        top = pelvis_pos + np.einsum("tij,j->ti", pelvis_rot, limbs.waist)
        shoulders = top[:, None] + np.einsum("tij,kj->tki", chest_rot, limbs.shoulders)
        elbows = shoulders + _unit(both["elbow"] - both["shoulder"]) * limbs.upper_arms[:, None]
        wrists = elbows + _unit(both["wrist"] - both["elbow"]) * limbs.forearms[:, None]
        sites |= {"elbow": elbows, "wrist": _within(wrists, shoulders, limbs.arm_reach)}
    return ScaledPerson(
        fps=person.fps,
        pelvis_pos=pelvis_pos,
        pelvis_rot=pelvis_rot,
        chest_rot=chest_rot,
        foot_rot=_feet(parts, both, pelvis_rot, upright),
        sites=sites,
        scale=scale,
    )


def _within(ends: Array, starts: Array, reach: float) -> Array:
    """Return ends [..., 3] of limbs that are not quite stretched: a straight limb has no direction to bend to."""
    way = ends - starts
    length = np.linalg.norm(way, axis=-1, keepdims=True)
    straight, soft = _STRAIGHT * reach, (1.0 - _STRAIGHT) * reach
    over = np.maximum(length - straight, 0.0)
    return np.asarray(starts + way / length * (np.minimum(length, straight) + soft * (1.0 - np.exp(-over / soft))))


def _most_upright(parts: Mapping[str, Array], both: Mapping[str, Array]) -> int:
    """Return the frame in which the person stands most upright, which tells how the trunk's points are arranged."""
    hips, shoulders = both["hip"].mean(axis=1), both["shoulder"].mean(axis=1)
    trunk, legs = _unit(shoulders - hips)[:, 2], _unit(hips[:, None] - both["ankle"])[..., 2].min(axis=1)
    level = -np.abs(both["ankle"][:, 0, 2] - both["ankle"][:, 1, 2])
    score = trunk + legs + level
    best = np.argsort(score)[-max(1, int(_UPRIGHT_SHARE * len(score))) :]
    return int(np.sort(best)[len(best) // 2])


def _axes(lateral: Array, up: Array) -> Array:
    """Return frames [T, 3, 3] with x forward, y to the left along `lateral`, and z near `up`."""
    y = _unit(lateral)
    x = _unit(np.cross(y, up))
    return np.stack((x, y, np.cross(x, y)), axis=-1)


def _from_upright(axes: Array, upright: int) -> Array:
    """Return rotations [T, 3, 3] that are a turn about the vertical in the most upright frame."""
    forward = axes[upright, :, 0]
    heading = _unit(forward * [1.0, 1.0, 0.0])
    level = np.stack((heading, np.cross(_UP, heading), _UP), axis=-1)
    return np.asarray(axes @ axes[upright].T @ level)


def _feet(parts: Mapping[str, Array], both: Mapping[str, Array], pelvis_rot: Array, upright: int) -> Array:
    """Return rotations of the feet [T, 2, 3, 3] by where the toes point; without toes, those of the pelvis, level.

    A foot turns about the direction of its toes with the shin and the plane of the leg, because toes that point down
    have no heading.
    """
    turns = []
    for side, name in enumerate(SIDES):
        toe = parts.get(f"{name}_toe")
        if toe is None:
            forward = pelvis_rot[:, :, 0] * [1.0, 1.0, 0.0]
            turns.append(_axes(np.cross(_UP, forward), np.broadcast_to(_UP, forward.shape)))
            continue
        thigh = _unit(both["knee"][:, side] - both["hip"][:, side])
        shin = _unit(both["ankle"][:, side] - both["knee"][:, side])
        forward = _unit(toe - both["ankle"][:, side])
        # both point to the left, and neither is defined in every pose
        left = np.cross(forward, shin) + _PLANE * (np.cross(thigh, shin) + _PLANE * pelvis_rot[:, :, 1])
        up = _unit(np.cross(forward, left))
        turns.append(_from_upright(np.stack((forward, np.cross(up, forward), up), axis=-1), upright))
    return np.stack(turns, axis=1)


def _unit(vectors: Array) -> Array:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9))
