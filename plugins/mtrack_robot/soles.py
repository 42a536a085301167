"""Derives the contact points of the feet from their shapes."""

from __future__ import annotations

import numpy as np

from mtrack_robot.description import Sole
from mtrack_robot.parts import Limb
from mtrack_robot.posing import Array, Posing, reflect

RADIUS = 0.005  # m
_LAYER = 0.006  # m above the lowest point: a sole may be slightly round
_LEAST_LENGTH, _LEAST_WIDTH = 0.04, 0.02  # m: a smaller sole is a point
_DIAGONALS = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
_FRICTION = 0.6


def foot_body(posing: Posing, leg: Limb) -> int:
    """Return the body that is the foot: the last one with a joint, or without an ankle the lowest one fixed to it."""
    group = posing.rigid_group(leg.end)
    if leg.lower or len(group) == 1:
        return leg.end
    return min(group, key=lambda body: posing.lowest_point([body]))


def sole_points(posing: Posing, foot: int) -> Array:
    """Return the points [P, 3] m on which a foot rests in the present pose; empty if it has no shapes."""
    group = posing.rigid_group(foot)
    for colliding in (True, False):
        points, radii = posing.shape_points(group, colliding=colliding)
        if len(points):
            bottom = points - np.outer(radii, (0.0, 0.0, 1.0))
            return np.asarray(bottom[bottom[:, 2] < bottom[:, 2].min() + _LAYER])
    return np.zeros((0, 3))


def sole_corners(posing: Posing, foot: int) -> Array:
    """Return the 4 corners [4, 3] m of the sole in the present pose, front left first; empty for a point foot."""
    points = sole_points(posing, foot)
    if not len(points):
        return points
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    size = high - low
    if size[0] < _LEAST_LENGTH or size[1] < _LEAST_WIDTH:
        return np.zeros((0, 3))
    scaled = (points[:, :2] - (low + high) / 2) / size
    corners: Array = points[(scaled @ _DIAGONALS.T).argmax(0)]
    corners[:, 2] = points[:, 2].min()
    return corners


def make_soles(posing: Posing, feet: tuple[int, int]) -> dict[str, Sole]:
    """Return 4 contact spheres for each foot, right as the mirror image of left; empty for point feet."""
    corners = sole_corners(posing, feet[0])
    if not len(corners):
        return {}
    inwards = np.sign(corners[:, :2].mean(0) - corners[:, :2])
    centres = corners + np.column_stack((RADIUS * inwards, np.full(len(corners), RADIUS)))
    friction = _friction(posing, feet[0])
    soles = {}
    for foot, placed in zip(feet, (centres, reflect(centres)), strict=True):
        turn = posing.data.xmat[foot].reshape(3, 3)
        local = np.round((placed - posing.data.xpos[foot]) @ turn, 4)
        soles[posing.name(foot)] = Sole(
            points=tuple(tuple(float(value) for value in point) for point in local + 0.0),
            radius=RADIUS,
            friction=friction,
        )
    return soles


def _friction(posing: Posing, foot: int) -> float:
    model, group = posing.model, posing.rigid_group(foot)
    found = [
        float(model.geom_friction[geom, 0])
        for geom in range(model.ngeom)
        if model.geom_bodyid[geom] in group and (model.geom_contype[geom] or model.geom_conaffinity[geom])
    ]
    chosen = [value for value in found if value != 1.0]  # 1.0 is MuJoCo's default
    return max(chosen, default=_FRICTION)
