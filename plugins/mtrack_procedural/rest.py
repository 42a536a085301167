"""The rest pose of any robot: level soles on the floor, bent knees, the centre of mass above the soles."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import mujoco
import numpy as np

from mtrack import MotionError, RobotModel
from mtrack_procedural.arms import arm_poses
from mtrack_procedural.balance import support_margin
from mtrack_procedural.body_plan import BodyPlan, Leg, body_plan
from mtrack_procedural.footprint import Footprint, footprint
from mtrack_procedural.kinematics import Skeleton
from mtrack_procedural.measures import knee_bend, knee_height, least_distance, leg_length
from mtrack_procedural.plan import Rest
from mtrack_procedural.timing import Array

_G1_LEGS = 0.641  # m, thigh and shin of a Unitree G1, for which the sizes of motions are chosen
_LEVEL, _ON_FLOOR = 0.03, 0.003  # rad, m: what counts as level and on the floor
_STRAIGHT = 0.3  # rad; a straight knee cannot follow a shift of the hips
_LENGTHS = (0.955, 0.93, 0.9, 0.86)  # of a bent leg, shares of its full length; the first possible one is used
_MARGIN = 0.02  # m, of the centre of mass from the edge of the soles in the default pose
_RANGE_SHARE = 0.94  # a clip uses 0.95 of the range of a joint
_WEIGHT_BACK = 0.1  # share of the sole's length by which the weight is behind its middle
_SHIFT_DIP = 0.03  # share of the height of the root: a straight knee cannot follow a shift of the hips
_UNLIMITED = 2 * np.pi
_UPRIGHT = np.array([[1.0, 0.0, 0.0, 0.0]])


@attrs.frozen(eq=False)
class Stance:
    """What it takes to move a robot: its kinematics and its rest pose."""

    skeleton: Skeleton
    rest: Rest


@attrs.frozen(eq=False)
class _Standing:
    """A robot in a standing pose."""

    robot: RobotModel
    model: mujoco.MjModel
    data: mujoco.MjData
    root_pos: Array
    joint_pos: Array

    @staticmethod
    def of(robot: RobotModel, model: mujoco.MjModel, root_pos: Array, joint_pos: Array) -> _Standing:
        data = mujoco.MjData(model)
        free = np.flatnonzero(model.jnt_type == mujoco.mjtJoint.mjJNT_FREE)
        start = model.jnt_qposadr[free[0]]
        data.qpos[start : start + 7] = [*root_pos, 1.0, 0.0, 0.0, 0.0]
        for name, angle in zip(robot.joint_names, joint_pos, strict=True):
            data.qpos[model.jnt_qposadr[model.joint(name).id]] = angle
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        return _Standing(robot, model, data, root_pos, joint_pos)


def stance(robot: RobotModel, model: mujoco.MjModel) -> Stance:
    """Return kinematics and rest pose of a robot whose description compiles to `model`. Raises MotionError.

    The rest pose is the default pose if its soles are level on the floor, its knees bent and its weight above the
    soles. Otherwise the knees are bent, and the root moves until the weight is above the soles.
    """
    if not (model.jnt_type == mujoco.mjtJoint.mjJNT_FREE).any():
        raise MotionError("it has a description without a free joint")
    start, default = robot.default_root_pos.double().numpy(), robot.default_joint_pos.double().numpy()
    standing = _Standing.of(robot, model, start, default)
    parts = body_plan(robot, model, standing.data)
    feet = [model.body(leg.foot).id for leg in parts.legs]
    soles = footprint(model, standing.data, feet)
    legs = [leg.joints for leg in parts.legs]
    skeleton = Skeleton(model, robot.joint_names, legs, [leg.foot for leg in parts.legs], parts.pelvis, soles)
    if not _can_rest(standing, parts, soles):
        standing = _bent(standing, skeleton, parts, soles)
    return Stance(skeleton, _rest(standing, skeleton, parts, soles))


def joint_limits(robot: RobotModel) -> Array:
    """Return the lower and upper limit of each joint, [J, 2] rad; several turns for a joint without limits."""
    limits = robot.joint_range.double().numpy().copy()
    free = ~np.isfinite(limits).all(1) | (limits[:, 0] >= limits[:, 1])
    limits[free] = [-_UNLIMITED, _UNLIMITED]
    return limits


def _can_rest(standing: _Standing, parts: BodyPlan, soles: Footprint) -> bool:
    """Return whether every motion can start from a pose."""
    data = standing.data
    corners, carries = _corners(standing, parts, soles)
    up = [data.body(leg.foot).xmat.reshape(3, 3) @ axes[:, 2] for leg, axes in zip(parts.legs, soles.axes, strict=True)]
    is_level = soles.is_round or min(float(axis[2]) for axis in up) > np.cos(_LEVEL)
    is_bent = min(knee_bend(standing.data, leg, soles, side) for side, leg in enumerate(parts.legs)) > _STRAIGHT
    margin = float(support_margin(data.subtree_com[:1, :2], corners[None, :, :2], carries)[0])
    low, high = joint_limits(standing.robot).T
    within = np.abs(standing.joint_pos - (low + high) / 2) <= (high - low) / 2 * _RANGE_SHARE
    on_floor = np.abs(corners[:, 2]).max() < _ON_FLOOR
    return bool(is_level and is_bent and margin > min(_MARGIN, soles.narrowest) and within.all() and on_floor)


def _corners(standing: _Standing, parts: BodyPlan, soles: Footprint) -> tuple[Array, np.ndarray]:
    """Return the corners of the soles in the world, [K, 3] m, and that all carry, [1, K]."""
    found = []
    for leg, axes, below in zip(parts.legs, soles.axes, soles.corners, strict=True):
        foot = standing.data.body(leg.foot)
        found.append(foot.xpos + below @ axes.T @ foot.xmat.reshape(3, 3).T)
    corners = np.concatenate(found)
    return corners, np.ones((1, len(corners)), bool)


def _bent(standing: _Standing, skeleton: Skeleton, parts: BodyPlan, soles: Footprint) -> _Standing:
    """Return the pose with bent knees, feet where they are, and the weight above the soles. Raises MotionError."""
    robot, model = standing.robot, standing.model
    low, high = joint_limits(robot).T
    half = (high - low) / 2 * _RANGE_SHARE
    clamped = np.clip(standing.joint_pos, (low + high) / 2 - half, (low + high) / 2 + half)
    feet_rot = soles.axes.swapaxes(1, 2)
    feet = _level_feet(standing, parts, soles)
    ahead = soles.middle - (0.0 if soles.is_round else _WEIGHT_BACK * soles.length)
    com = (feet[:, :2] + np.stack((np.full(2, ahead), soles.aside), axis=1)).mean(0)
    problem = ""
    for length in _LENGTHS:
        guess = clamped.copy()
        bend = 2 * np.arccos(length)
        for side, leg in enumerate(parts.legs):
            more = bend - knee_bend(standing.data, leg, soles, side)
            for (joint, sign), share in _bends(leg, more):
                guess[robot.joint_names.index(joint)] += sign * share
        posed = _Standing.of(robot, model, standing.root_pos, guess)
        height = np.mean([posed.data.body(leg.foot).xpos[2] for leg in parts.legs] - soles.height)
        start = standing.root_pos - [0.0, 0.0, height]
        try:
            root_pos, found, _ = skeleton.solve(
                com[None], feet[None], feet_rot[None], start[None], _UPRIGHT, guess[None]
            )
        except MotionError as error:
            problem = str(error).partition(": ")[2]
            continue
        beyond = np.abs(found[0] - (low + high) / 2) > (high - low) / 2 * (_RANGE_SHARE + 0.005)
        if not beyond.any():
            return _Standing.of(robot, model, np.array([0.0, 0.0, root_pos[0, 2]]), found[0])
        problem = f"{robot.joint_names[int(beyond.argmax())]} comes too close to the end of its range"
    raise MotionError(f"it cannot stand on bent legs with its weight above its soles: {problem}")


def _bends(leg: Leg, angle: float) -> list[tuple[tuple[str, float], float]]:
    """Return by how much each joint of a leg turns if its knee bends by an angle [rad] and foot and hip stay level."""
    turns = [(leg.hip, angle / 2), (leg.knee, angle)]
    return turns if leg.ankle is None else [*turns, (leg.ankle, angle / 2)]


def _rest(standing: _Standing, skeleton: Skeleton, parts: BodyPlan, soles: Footprint) -> Rest:
    robot, model, data = standing.robot, standing.model, standing.data
    poses = skeleton.poses(standing.root_pos[None], _UPRIGHT, standing.joint_pos[None])
    feet = _level_feet(standing, parts, soles) if soles.is_round else poses.foot_pos[0].copy()
    feet[:, 2] = soles.height
    joints: Mapping[str, float] = dict(zip(robot.joint_names, standing.joint_pos.tolist(), strict=True))
    limits = {
        name: (low, high) for name, (low, high) in zip(robot.joint_names, joint_limits(robot).tolist(), strict=True)
    }
    return Rest(
        com=poses.com[0],
        pelvis_height=float(data.body(parts.pelvis).xpos[2]),
        feet=feet,
        joints=joints,
        body=parts,
        soles=soles,
        size=round(leg_length(data, parts.legs[0], soles), 3) / _G1_LEGS,
        knee_height=knee_height(model, data, parts.legs[0], soles),
        narrowest=least_distance(model, data, parts, feet),
        can_shift=_can_shift(standing, skeleton, parts, soles, poses.com[0], feet),
        arm_poses=arm_poses(parts.arms, model, data, joints, limits, robot.poses),
    )


def _level_feet(standing: _Standing, parts: BodyPlan, soles: Footprint) -> Array:
    """Return where the frames of the feet would be if they were level on the floor, their soles in place, [2, 3] m."""
    feet = []
    for side, leg in enumerate(parts.legs):
        foot, centre = standing.data.body(leg.foot), soles.centre(side)
        feet.append(foot.xpos + foot.xmat.reshape(3, 3) @ centre - soles.axes[side].T @ centre)
    found = np.stack(feet)
    found[:, 2] = soles.height
    return found


def _can_shift(
    standing: _Standing, skeleton: Skeleton, parts: BodyPlan, soles: Footprint, com: Array, feet: Array
) -> bool:
    """Return whether the weight can be above one foot with both soles level."""
    low, high = joint_limits(standing.robot).T
    feet_rot = soles.axes.swapaxes(1, 2)[None]
    root_pos = standing.root_pos - [0.0, 0.0, _SHIFT_DIP * (standing.root_pos[2] - feet[0, 2])]
    for side in range(2):
        above = np.array([[com[0], feet[side, 1] + soles.aside[side]]])
        try:
            _, joints, poses = skeleton.solve(
                above, feet[None], feet_rot, root_pos[None], _UPRIGHT, standing.joint_pos[None]
            )
        except MotionError:
            return False
        beyond = np.abs(joints[0] - (low + high) / 2) > (high - low) / 2 * _RANGE_SHARE
        if beyond.any() or skeleton.tilt(poses, feet_rot).max() > _LEVEL:
            return False
    return True
