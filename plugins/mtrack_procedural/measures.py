"""Lengths and angles of a robot's legs in its standing pose."""

from __future__ import annotations

import mujoco
import numpy as np

from mtrack_procedural.body_plan import BodyPlan, Leg
from mtrack_procedural.footprint import Footprint, body_points
from mtrack_procedural.timing import Array

_KNEE_GAP = 0.0015  # m under the shapes of a kneeling knee
_APART = 0.05  # m between the legs in a walk
_CLOSER = 0.95  # share of their distance at rest that feet may always have
_NEAR_KNEE = 0.4  # share of the shin that touches the floor in kneeling
_THICK = 0.08  # share of the shin, of a knee without shapes


def leg_length(data: mujoco.MjData, leg: Leg, soles: Footprint) -> float:
    """Return the length of thigh and shin, m; the shin of a leg without an ankle reaches down to the sole."""
    knee = data.joint(leg.knee[0]).xanchor
    shin = np.linalg.norm(_ankle(data, leg, soles, 0) - knee)
    return float(np.linalg.norm(knee - data.joint(leg.hip[0]).xanchor) + shin)


def knee_bend(data: mujoco.MjData, leg: Leg, soles: Footprint, side: int) -> float:
    """Return by how much a knee is bent, rad; a bent knee takes the foot back, a negative angle takes it forward."""
    knee = data.joint(leg.knee[0])
    thigh = knee.xanchor - data.joint(leg.hip[0]).xanchor
    shin = _ankle(data, leg, soles, side) - knee.xanchor
    axis = knee.xaxis * leg.knee[1]
    thigh, shin = (part - axis * (part @ axis) for part in (thigh, shin))
    return float(np.arctan2(axis @ np.cross(thigh, shin), thigh @ shin))


def knee_height(model: mujoco.MjModel, data: mujoco.MjData, leg: Leg, soles: Footprint) -> float:
    """Return the height of a knee's axis above the floor that its shapes touch, with a horizontal shin, m."""
    knee, shin = data.joint(leg.knee[0]), int(model.joint(leg.knee[0]).bodyid[0])
    down = _ankle(data, leg, soles, 0) - knee.xanchor
    length = float(np.linalg.norm(down))
    front = np.cross(knee.xaxis, down / length)
    front *= np.sign(front[0]) / np.linalg.norm(front)
    local, radius = body_points(model, data, shin)
    points = local @ data.xmat[shin].reshape(3, 3).T + data.xpos[shin] - knee.xanchor
    near = np.abs(points @ down / length) < _NEAR_KNEE * length
    thick = (points @ front + radius)[near].max(initial=-np.inf)
    return round(float(thick if thick > 0 else _THICK * length) + _KNEE_GAP, 4)


def least_distance(model: mujoco.MjModel, data: mujoco.MjData, parts: BodyPlan, feet: Array) -> float:
    """Return the least sideways distance of the frames of the feet, [2, 3] m, at which the legs stay apart, m."""
    inner = []
    for leg, foot, inward in zip(parts.legs, feet, (-1.0, 1.0), strict=True):
        reach = 0.0
        for body in (int(model.joint(leg.knee[0]).bodyid[0]), model.body(leg.foot).id):
            local, radius = body_points(model, data, body)
            across = (local @ data.xmat[body].reshape(3, 3).T + data.xpos[body])[:, 1] - foot[1]
            reach = max(reach, float((inward * across + radius).max(initial=0.0)))
        inner.append(reach)
    return min(round(sum(inner) + _APART, 3), _CLOSER * float(feet[0, 1] - feet[1, 1]))


def _ankle(data: mujoco.MjData, leg: Leg, soles: Footprint, side: int) -> Array:
    """Return a point on the axis of the ankle, or the middle of the sole of a leg without an ankle, [3] m."""
    if leg.ankle is not None:
        return np.asarray(data.joint(leg.ankle[0]).xanchor)
    foot = data.body(leg.foot)
    return np.asarray(foot.xpos + foot.xmat.reshape(3, 3) @ soles.centre(side))
