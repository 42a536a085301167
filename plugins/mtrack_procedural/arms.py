"""Poses of the arms: those that a robot names, and otherwise found by inverse kinematics of elbow and hand."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import mujoco
import numpy as np

from mtrack_procedural.body_plan import Arm
from mtrack_procedural.timing import Array

# unit vectors along the upper arm and the forearm of a left arm: forward, left, up; from the poses of a G1
_POSES: Mapping[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "reach_forward": ((0.97, 0.07, -0.22), (1.0, 0.0, 0.0)),
    "reach_up": ((0.65, 0.1, 0.75), (0.46, 0.01, 0.89)),
    "reach_side": ((0.14, 0.94, -0.32), (0.2, 0.92, -0.34)),
    "counterweight": ((0.88, 0.08, -0.46), (0.99, 0.0, -0.14)),
    "hello": ((0.53, 0.84, -0.1), (0.12, 0.03, 0.99)),
    "bowed": ((0.33, 0.18, -0.93), (0.71, 0.1, -0.7)),
}
POSES = tuple(_POSES)
"""Names of the poses that motions use."""
_OPTIONAL = ("counterweight", "bowed")  # the motion is made without the arms if they cannot take them
_ELBOW_WEIGHT, _REST_WEIGHT = 0.5, 0.03  # of arm lengths, the weight of the hand being 1; and of rad
_ITERATIONS, _MAX_TURN, _STEP = 100, 0.3, 1e-4
_FAR = 0.05  # arm lengths per rad: how much less exact a nearer pose may be
_FROM_LIMIT = 0.2  # rad; motions add to these angles
_TOLERANCE = 0.25  # arm lengths


def arm_poses(
    arms: tuple[Arm, ...],
    model: mujoco.MjModel,
    data: mujoco.MjData,
    joints: Mapping[str, float],
    limits: Mapping[str, tuple[float, float]],
    named: Mapping[str, Mapping[str, float]],
) -> dict[str, Mapping[str, float]]:
    """Return the angles [rad] of the arms' joints by pose; a pose that the arms cannot take is missing.

    `joints` is the rest pose, which `data` is in [rad]; `limits` are the lower and upper limits [rad]; `named` are
    the poses that the robot itself provides.
    """
    found = {name: pose for name, pose in named.items() if name in _POSES}
    reaches = [_Reach(arm, model, data, joints, limits) for arm in arms]
    for name, (upper, fore) in _POSES.items():
        if name in found or not arms:
            continue
        pose: dict[str, float] = {}
        error = 0.0
        for side, reach in enumerate(reaches):
            mirror = np.array([1.0, 1.0 - 2.0 * side, 1.0])
            angles, missed = reach.solve(np.array(upper) * mirror, np.array(fore) * mirror)
            pose |= angles
            error = max(error, missed)
        if error < _TOLERANCE:
            found[name] = pose
        elif name in _OPTIONAL:
            found[name] = {}
    return found


@attrs.define(eq=False)
class _Reach:
    """Inverse kinematics of one arm."""

    arm: Arm
    model: mujoco.MjModel
    data: mujoco.MjData
    rest: Mapping[str, float]
    limits: Mapping[str, tuple[float, float]]

    def solve(self, upper: Array, fore: Array) -> tuple[dict[str, float], float]:
        """Return the angles that point upper arm and forearm, [3] each, and the hand's error in arm lengths."""
        rest = np.array([self.rest[name] for name in self.arm.joints])
        best, least, cheapest = rest, np.inf, np.inf
        for bent in (0.0, -0.8, 0.8):  # an arm that is straight at rest may bend the wrong way
            start = [self.rest[name] + bent * (name == self.arm.bend[0]) for name in self.arm.joints]
            angles, error = self._descend(upper, fore, np.array(start))
            cost = error + _FAR * float(np.linalg.norm(angles - rest))
            if cost < cheapest:
                best, least, cheapest = angles, error, cost
        return dict(zip(self.arm.joints, best.tolist(), strict=True)), least

    def _descend(self, upper: Array, fore: Array, start: Array) -> tuple[Array, float]:
        ids = [self.model.joint(name).id for name in self.arm.joints]
        columns = self.model.jnt_qposadr[ids]
        low, high = (np.array([self.limits[name][end] for name in self.arm.joints]) for end in (0, 1))
        inward = np.minimum(_FROM_LIMIT, 0.2 * (high - low))
        low, high = low + inward, high - inward
        rest = np.array([self.rest[name] for name in self.arm.joints])
        data, hand = mujoco.MjData(self.model), self.model.body(self.arm.hand).id
        data.qpos[:] = self.data.qpos
        elbow = self.arm.joints.index(self.arm.bend[0])
        angles = np.clip(start, low, high)
        error = np.inf
        for _ in range(_ITERATIONS):
            data.qpos[columns] = angles
            mujoco.mj_kinematics(self.model, data)
            axis, anchor, end = data.xaxis[ids], data.xanchor[ids], data.xpos[hand]
            bent, shoulder = anchor[elbow], anchor[max(0, elbow - 2)]
            long, short = np.linalg.norm(bent - shoulder), np.linalg.norm(end - bent)
            goal = shoulder + upper * long
            wanted = np.concatenate((_ELBOW_WEIGHT * (goal - bent), goal + fore * short - end)) / (long + short)
            error = float(np.linalg.norm(wanted[3:]))
            above = np.arange(len(ids)) < elbow
            slopes = np.concatenate(
                (
                    _ELBOW_WEIGHT * np.cross(axis, bent - anchor).T * above,
                    np.cross(axis, end - anchor).T,
                )
            ) / (long + short)
            system = slopes.T @ slopes + (_REST_WEIGHT**2 + 1e-4) * np.eye(len(ids))
            pull = slopes.T @ wanted + _REST_WEIGHT**2 * (rest - angles)
            step = np.linalg.solve(system, pull).clip(-_MAX_TURN, _MAX_TURN)
            angles = np.clip(angles + step, low, high)
            if np.abs(step).max() < _STEP:
                break
        return angles, error
