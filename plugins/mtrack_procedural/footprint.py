"""The soles of a robot: their corners and heights, from the colliding shapes of its feet in the standing pose."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import mujoco
import numpy as np
from numpy.typing import NDArray

from mtrack import MotionError
from mtrack_mujoco.shapes import shape_points
from mtrack_procedural.timing import Array

_BOTTOM = 0.004  # m above the lowest point: what belongs to the sole
_TILTED = 0.1  # rad; a plane through the lowest points that is more tilted is not the sole's
_ROCKED = 4  # times that a foot is tilted until its sole is found
_THIN = 0.01  # m; a sole that is narrower rests on round shapes
_DECIMALS = 4  # of lengths in m: a compiled model is not exact to the last bit
_DIRECTIONS = 16


@attrs.frozen(eq=False)
class Footprint:
    """The soles of both feet, left and right, in axes of their own: x forward, y left, z up."""

    axes: Array
    """[2, 3, 3] these axes as columns in the frames of the feet."""
    corners: Array
    """[2, K, 3] from the origin of the foot's frame, m."""
    radius: float
    """Of round feet, m; otherwise 0."""

    @property
    def is_round(self) -> bool:
        """Whether the feet touch the floor with balls or cylinders: they roll, so their tilt does not matter."""
        return self.radius > 0

    @property
    def height(self) -> Array:
        """[2] m, of the foot frames above the floor if the soles are level on it."""
        return -self.corners[:, 0, 2]

    @property
    def toes(self) -> float:
        """Distance of the toes in front of the foot frames, m."""
        return float(self.corners[..., 0].max(1).min())

    @property
    def heel(self) -> float:
        """Distance of the heel in front of the foot frames, m; negative."""
        return float(self.corners[..., 0].min(1).max())

    @property
    def middle(self) -> float:
        """Distance of the middle of the soles in front of the foot frames, m."""
        return round((self.toes + self.heel) / 2, _DECIMALS)

    def centre(self, side: int) -> Array:
        """Return the point of a foot that is placed, [3] m in its frame: of a round foot, what it rolls about."""
        lift = self.radius if self.is_round else 0.0
        return np.asarray(self.axes[side] @ [self.middle, self.aside[side], lift - self.height[side]])

    @property
    def length(self) -> float:
        """Length of a sole, m."""
        return self.toes - self.heel

    @property
    def aside(self) -> Array:
        """[2] m, by which the middle of each sole is to the left of the foot's frame."""
        y = self.corners[..., 1]
        return np.asarray(((y.max(1) + y.min(1)) / 2).round(_DECIMALS))

    @property
    def narrowest(self) -> float:
        """Least half width of the soles near toes and heel, m."""
        front = self.corners[..., 0] > self.middle
        y = self.corners[..., 1]
        widths = [np.ptp(y[foot, part[foot]]) for part in (front, ~front) for foot in range(2)]
        return float(min(widths)) / 2


def footprint(model: mujoco.MjModel, data: mujoco.MjData, feet: Sequence[int]) -> Footprint:
    """Return the soles of two feet of a robot; `data` is its standing pose, facing along x. Raises MotionError."""
    axes, corners, rounds = [], [], []
    for foot in feet:
        turn = data.xmat[foot].reshape(3, 3)
        points, radius = body_points(model, data, foot)
        if not len(points):
            raise MotionError(f"its foot '{model.body(foot).name}' has no colliding shape")
        up = _normal(points, radius, turn.T @ [0.0, 0.0, 1.0])
        forward = turn.T @ [1.0, 0.0, 0.0]
        forward -= up * (forward @ up)
        forward /= np.linalg.norm(forward)
        own = np.column_stack((forward, np.cross(up, forward), up)).round(9) + 0.0  # no negative zeros
        below, ball = _corners((points - np.outer(radius, up)) @ own, radius)
        axes.append(own)
        corners.append(below)
        rounds.append(ball)
    return Footprint(np.stack(axes), np.stack(corners), min(rounds))


def body_points(model: mujoco.MjModel, data: mujoco.MjData, body: int) -> tuple[Array, Array]:
    """Return points [P, 3] and radii [P] that bound the colliding shapes welded to a body, m in its frame."""
    turn, points, radii = data.xmat[body].reshape(3, 3), [np.empty((0, 3))], [np.empty(0)]
    for geom in range(model.ngeom):
        collides = model.geom_contype[geom] or model.geom_conaffinity[geom]
        if not collides or model.body_weldid[model.geom_bodyid[geom]] != model.body_weldid[body]:
            continue
        local, radius = shape_points(model, geom)
        world = data.geom_xpos[geom] + local @ data.geom_xmat[geom].reshape(3, 3).T
        points.append((world - data.xpos[body]) @ turn)
        radii.append(np.full(len(local), radius))
    return np.concatenate(points), np.concatenate(radii)


def _normal(points: Array, radius: Array, up: Array) -> Array:
    """Return the upward normal of the sole in the foot's frame, [3]; `up` is the vertical in the standing pose."""
    for _ in range(_ROCKED):
        bottom = points - np.outer(radius, up)
        height = bottom @ up
        low = height < height.min() + _BOTTOM
        _, extent, rows = np.linalg.svd(bottom[low] - bottom[low].mean(0))
        wide = extent > _THIN / 2 * np.sqrt(low.sum())
        if low.sum() > 2 and wide[1]:
            normal = rows[2] * np.sign(rows[2] @ up)
        else:
            normal = _rocked(bottom, low, up, rows[0] if wide[0] else np.zeros(3))
        if normal @ up < np.cos(_TILTED):
            return up
        up = normal.round(6) / np.linalg.norm(normal.round(6))
    return up


def _rocked(bottom: Array, low: NDArray[np.bool_], up: Array, edge: Array) -> Array:
    """Return the normal of a foot that tilts until another point is on the floor, [3].

    In a standing pose that is not level it is on an edge, the unit vector `edge`, or on one point (zeros).
    """
    way = bottom - bottom[low].mean(0)
    way -= np.outer(way @ edge, edge)
    level = np.linalg.norm(way - np.outer(way @ up, up), axis=1)
    far = np.flatnonzero(~low & (level > 2 * _THIN))
    if not len(far):
        return up
    nearest = way[far[((way @ up)[far] / level[far]).argmin()]]
    nearest /= np.linalg.norm(nearest)
    rocked = up - nearest * (up @ nearest)
    return np.asarray(rocked / np.linalg.norm(rocked))


def _corners(bottom: Array, radius: Array) -> tuple[Array, float]:
    """Return the corners of the sole, [K, 3], from its points [P, 3] and radii [P]; and the radius of a round sole."""
    lowest = bottom[:, 2].min()
    low = bottom[:, 2] < lowest + _BOTTOM
    flat, around = bottom[low, :2], radius[low]
    angle = 2 * np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS
    outward = np.stack((np.cos(angle), np.sin(angle)), axis=1)
    ball = float(around.max()) if np.ptp(flat @ outward.T, axis=0).min() < _THIN else 0.0
    if ball:  # it rolls: balanced only by moving; count half of the ball as if it were a sole
        flat = (flat[:, None] + 0.5 * around[:, None, None] * outward).reshape(-1, 2)
    hull = flat[(flat @ outward.T).argmax(0)]
    return np.column_stack((hull, np.full(len(hull), lowest))).round(_DECIMALS), ball
