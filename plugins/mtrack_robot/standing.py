"""Finds a standing pose by inverse kinematics: knees bent a little, soles level, weight over them, arms down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
import mujoco
import numpy as np

from mtrack_robot.parts import HumanoidParts, Limb
from mtrack_robot.posing import Array, Posing
from mtrack_robot.sides import Sides, mirrored
from mtrack_robot.soles import foot_body, sole_corners, sole_points

_BEND = 0.45  # rad of the knee
_ITERATIONS, _DAMPING, _MOST_TURN, _DONE = 200, 1e-4, 0.1, 1e-7
_TILT_WEIGHT = 0.3  # m/rad: how much a tilted sole counts beside its position
_HAND = np.array([0.25, 0.2, -0.95])  # direction from the left shoulder to the hand
_STRETCH = 0.9  # of the arm
_RANGE_SHARE = 0.96
_FLAT, _BALANCED = 0.005, 0.01  # rad, m: of a keyframe in which the robot stands
LEVEL = 0.03
"""rad: a sole that is tilted more is not level."""


@attrs.frozen(eq=False)
class StandingPose:
    """A pose in which the robot stands, or why it does not."""

    angles: Array
    """[J] rad, in the order of `Posing`."""
    root_height: float
    """m, at which the lowest sole touches the floor."""
    tilt: float
    """Largest tilt of a flat sole [rad]."""
    margin: float
    """Distance of the centre of mass from the edge of the support [m]; negative outside."""
    source: str
    """Where it comes from, in words."""


def find_standing_pose(
    posing: Posing, parts: HumanoidParts, sides: Sides, keyframes: Mapping[str, Mapping[str, float]]
) -> StandingPose:
    """Return a keyframe of the model in which it stands with bent knees, or else a pose by inverse kinematics."""
    feet = _feet(posing, parts)
    for name, by_joint in keyframes.items():
        pose = judge(posing, feet, posing.angles(by_joint), f"keyframe '{name}' of the model")
        bends = [abs(pose.angles[joint]) for leg in parts.legs or () for joint in leg.middle]
        if pose.tilt < _FLAT and pose.margin > _BALANCED and all(bend > _BEND / 3 for bend in bends):
            return pose
    angles = posing.zero.copy()
    if parts.arms is not None:
        angles = _with_arms_down(posing, parts.arms[0], sides, angles)
    if parts.legs is not None:
        angles = _with_bent_knees(posing, parts.legs[0], sides, angles)
    return judge(posing, feet, np.round(angles, 4) + 0.0, "by inverse kinematics")


def judge(posing: Posing, feet: Sequence[int], angles: Array, source: str) -> StandingPose:
    """Return how well a pose of joint angles [J] rad stands on its feet; soles are level in the model's zero pose."""
    data = posing.put(posing.zero)
    level = [data.xmat[foot].reshape(3, 3).copy() for foot in feet]
    corners = [sole_corners(posing, foot) for foot in feet]
    local = [(at - data.xpos[foot]) @ flat for at, foot, flat in zip(corners, feet, level, strict=True)]
    data = posing.put(angles)
    tilt, points = 0.0, [np.zeros((0, 3))]
    for foot, flat, at in zip(feet, level, local, strict=True):
        turn = data.xmat[foot].reshape(3, 3)
        if len(at):
            tilt = max(tilt, float(np.arccos(np.clip((turn @ flat.T)[2, 2], -1.0, 1.0))))
            points.append(data.xpos[foot] + at @ turn.T)
        else:
            points.append(sole_points(posing, foot))
    support = np.concatenate(points)
    height = -float(support[:, 2].min()) if len(support) else 0.0
    com = data.subtree_com[posing.root][:2]
    return StandingPose(angles, round(height, 4), tilt, _margin(com, support[:, :2]), source)


def time_upright(model: mujoco.MjModel, posing: Posing, pose: StandingPose, limit: float = 2.0) -> float:
    """Return how long the robot stands [s] if its motors hold the pose, up to a limit. `model` is the task's."""
    data = mujoco.MjData(model)
    data.qpos[:3] = 0.0, 0.0, pose.root_height
    for name, angle in zip(posing.joint_names, pose.angles, strict=True):
        data.joint(name).qpos[0] = angle
        data.actuator(name).ctrl[0] = angle
    while data.time < limit:
        mujoco.mj_step(model, data)
        if not data.qpos[2] > 0.7 * pose.root_height:
            break
    return float(data.time)


def _feet(posing: Posing, parts: HumanoidParts) -> list[int]:
    posing.put(posing.zero)
    return [foot_body(posing, leg) for leg in parts.legs or ()]


@attrs.frozen(eq=False)
class _Target:
    """Where a body should be in the root's frame, and its orientation if that matters."""

    body: int
    pos: Array
    """[3] m."""
    level: Array | None = None
    """Orientation [3, 3]."""

    def missing(self, posing: Posing) -> Array:
        """Return what is missing in the present pose, [3] m, or [6] with the weighted rotation."""
        error = np.asarray(self.pos - posing.data.xpos[self.body])
        if self.level is None:
            return error
        turn = self.level @ posing.data.xmat[self.body].reshape(3, 3).T
        tilt = 0.5 * np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
        return np.concatenate((error, _TILT_WEIGHT * tilt))

    def slope(self, posing: Posing) -> Array:
        """Return the derivative of position, and of the weighted rotation, by the joint angles, [3 or 6, J]."""
        model, data = posing.model, posing.data
        slope = np.zeros((6, model.nv))
        mujoco.mj_jac(model, data, slope[:3], slope[3:], data.xpos[self.body], self.body)
        slope[3:] *= _TILT_WEIGHT
        return slope[: 3 if self.level is None else 6, posing.dofs]


def _with_arms_down(posing: Posing, arm: Limb, sides: Sides, angles: Array) -> Array:
    posing.put(angles)
    shoulder = np.mean([posing.anchor(joint) for joint in arm.upper], axis=0)
    tip = posing.data.xpos[arm.end].copy()
    middle = np.mean([posing.anchor(joint) for joint in arm.middle], axis=0) if arm.middle else tip
    length = float(np.linalg.norm(middle - shoulder) + np.linalg.norm(tip - middle))
    target = _Target(arm.end, shoulder + _STRETCH * length * _HAND / np.linalg.norm(_HAND))
    # the wrists stay straight
    solved = _solve(posing, angles, (*arm.upper, *arm.middle), target)
    return _both_sides(posing, sides, solved, arm.joints)


def _with_bent_knees(posing: Posing, leg: Limb, sides: Sides, angles: Array) -> Array:
    foot = foot_body(posing, leg)
    data = posing.put(posing.zero)
    level = data.xmat[foot].reshape(3, 3).copy() if len(sole_corners(posing, foot)) else None
    goal = data.xpos[foot].copy()
    goal[2] += _shortening(posing, leg, foot)
    solved = angles.copy()
    for joint in leg.middle[:1]:  # bend the knee the way in which it has room
        low, high = posing.range[joint]
        solved[joint] += _BEND if high - solved[joint] > solved[joint] - low else -_BEND
    for _ in range(4):  # the centre of mass moves with the legs
        posing.put(solved)
        ahead = sole_points(posing, foot)[:, 0].mean() - posing.data.xpos[foot][0]
        goal[0] = posing.data.subtree_com[posing.root][0] - ahead
        solved = _both_sides(posing, sides, _solve(posing, solved, leg.joints, _Target(foot, goal, level)), leg.joints)
    return solved


def _shortening(posing: Posing, leg: Limb, foot: int) -> float:
    """Return by how much a leg gets shorter when its knee bends [m], from the model's zero pose."""
    hip = np.mean([posing.anchor(joint) for joint in leg.upper], axis=0)
    ankle = posing.data.xpos[leg.end] if leg.lower else sole_points(posing, foot).mean(0)
    if not leg.middle:
        return 0.0
    knee = posing.anchor(leg.middle[0])
    thigh, shin = float(np.linalg.norm(knee - hip)), float(np.linalg.norm(ankle - knee))
    return float(thigh + shin - np.sqrt(thigh**2 + shin**2 + 2 * thigh * shin * np.cos(_BEND)))


def _solve(posing: Posing, angles: Array, joints: Sequence[int], target: _Target) -> Array:
    """Return joint angles [J] after damped least squares for some joints, within most of their ranges."""
    angles, chosen = angles.copy(), list(joints)
    middle, half = posing.range[chosen].mean(1), np.diff(posing.range[chosen], axis=1)[:, 0] / 2
    low, high = middle - _RANGE_SHARE * half, middle + _RANGE_SHARE * half
    for _ in range(_ITERATIONS):
        posing.put(angles)
        error, slope = target.missing(posing), target.slope(posing)[:, chosen]
        step = slope.T @ np.linalg.solve(slope @ slope.T + _DAMPING * np.eye(len(error)), error)
        step *= min(1.0, _MOST_TURN / max(float(np.abs(step).max()), 1e-12))
        angles[chosen] = np.clip(angles[chosen] + step, low, high)
        if np.abs(step).max() < _DONE:
            break
    return angles


def _both_sides(posing: Posing, sides: Sides, angles: Array, joints: Sequence[int]) -> Array:
    image = mirrored(posing, sides.joints, sides.signs, angles)
    both = angles.copy()
    for joint in joints:
        partner = posing.index[sides.joints.get(posing.joint_names[joint], posing.joint_names[joint])]
        both[partner] = image[partner]
    return both


def _margin(point: Array, support: Array) -> float:
    """Return how far a point [2] is inside the hull of points [P, 2], m; negative outside."""
    if not len(support):
        return -np.inf
    angle = np.linspace(0, 2 * np.pi, 180, endpoint=False)
    direction = np.stack((np.cos(angle), np.sin(angle)))
    return float(((support @ direction).max(0) - point @ direction).min())
