"""Estimates the buffer sizes for contacts and constraints, from the model and from a simulated fall."""

from __future__ import annotations

import attrs
import mujoco
import numpy as np
from numpy.typing import NDArray

from mtrack import RobotModel
from mtrack_mujoco.addresses import Addresses

_PLENTY = {"contacts": 64, "constraints": 256}  # per environment: this much costs almost nothing
_MARGIN = 3.0  # times what the simulated fall needed, if the model could need more than plenty
_FALLS = ((1.0, 0.0, 0.0, 0.0), (0.7, 0.0, 0.7, 0.0), (0.7, 0.0, -0.7, 0.0), (0.7, 0.7, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0))
_FALL_SECONDS = 1.0

_Geom = mujoco.mjtGeom
_POINTS = {  # maximum number of contact points of two shapes
    frozenset((_Geom.mjGEOM_PLANE, _Geom.mjGEOM_SPHERE)): 1,
    frozenset((_Geom.mjGEOM_PLANE, _Geom.mjGEOM_CAPSULE)): 2,
    frozenset((_Geom.mjGEOM_PLANE, _Geom.mjGEOM_BOX)): 4,
    frozenset((_Geom.mjGEOM_SPHERE,)): 1,
    frozenset((_Geom.mjGEOM_SPHERE, _Geom.mjGEOM_CAPSULE)): 1,
    frozenset((_Geom.mjGEOM_SPHERE, _Geom.mjGEOM_BOX)): 1,
    frozenset((_Geom.mjGEOM_CAPSULE,)): 2,
    frozenset((_Geom.mjGEOM_CAPSULE, _Geom.mjGEOM_BOX)): 2,
}
_POINTS_OTHERWISE, _POINTS_OF_TERRAIN = 8, 50


@attrs.frozen
class BufferSizes:
    """Buffer sizes for one environment."""

    contacts: int
    """Contact points; all environments share one buffer."""
    constraints: int
    """Rows of the constraint solver; each environment has its own."""

    @staticmethod
    def of_robot(model: mujoco.MjModel, robot: RobotModel, at: Addresses, has_friction: bool) -> BufferSizes:
        """Return the sizes for a robot that falls from its default pose; `has_friction` as in `of`."""
        qpos, ctrl = model.qpos0.copy(), np.zeros(model.nu)
        qpos[at.root_qpos : at.root_qpos + 3] = robot.default_root_pos
        qpos[model.jnt_qposadr[list(at.joints)]] = robot.default_joint_pos
        ctrl[list(at.actuator_indices)] = robot.default_joint_pos
        return BufferSizes.of(model, qpos, ctrl, has_friction)

    @staticmethod
    def of(
        model: mujoco.MjModel, qpos: NDArray[np.float64], ctrl: NDArray[np.float64], has_friction: bool
    ) -> BufferSizes:
        """Return the sizes for a robot that falls from positions `qpos` under controls `ctrl`.

        `has_friction`: joints will have friction, even if the model has none.
        """
        limits = int((model.jnt_limited != 0).sum()) + int(model.neq) * 6
        frictions = int(model.nv if has_friction else (model.dof_frictionloss > 0.0).sum()) + int(model.ntendon) * 2
        points, rows = _most(model)
        most = BufferSizes(points, rows + limits + frictions)
        if most.contacts <= _PLENTY["contacts"] and most.constraints <= _PLENTY["constraints"]:
            return most
        points, rows = _probe(model, qpos, ctrl)
        return BufferSizes(
            min(most.contacts, max(_PLENTY["contacts"], int(_MARGIN * points))),
            min(most.constraints, max(_PLENTY["constraints"], int(_MARGIN * (rows + frictions)))),
        )


def _most(model: mujoco.MjModel) -> tuple[int, int]:
    """Return the maximum number of contact points of all shapes together, and of their constraint rows."""
    points = rows = 0
    for one, other in _colliding(model):
        shapes = frozenset((_Geom(model.geom_type[one]), _Geom(model.geom_type[other])))
        otherwise = _POINTS_OF_TERRAIN if _Geom.mjGEOM_HFIELD in shapes else _POINTS_OTHERWISE
        count = _POINTS.get(shapes, otherwise)
        points += count
        rows += count * _rows(int(max(model.geom_condim[one], model.geom_condim[other])))
    for pair in range(model.npair):
        points += _POINTS_OTHERWISE
        rows += _POINTS_OTHERWISE * _rows(int(model.pair_dim[pair]))
    return points, rows


def _rows(condim: int) -> int:
    """Return the constraint rows of a contact with a pyramidal friction cone, which has the most."""
    return max(1, 2 * (condim - 1))


def _colliding(model: mujoco.MjModel) -> NDArray[np.int64]:
    """Return the pairs of shapes that may touch, [P, 2], after the engine's filters."""
    contype, conaffinity = model.geom_contype, model.geom_conaffinity
    may = (contype[:, None] & conaffinity[None]) | (conaffinity[:, None] & contype[None]) != 0
    body = model.body_weldid[model.geom_bodyid]
    parent = model.body_weldid[model.body_parentid[body]]
    may &= body[:, None] != body[None]
    is_fixed = body == 0
    is_parent = (parent[:, None] == body[None]) & ~is_fixed[None]
    may &= ~(is_parent | is_parent.T)
    signatures = (model.geom_bodyid[:, None] << 16) + model.geom_bodyid[None]
    is_excluded = np.isin(signatures, model.exclude_signature)
    may &= ~(is_excluded | is_excluded.T)
    return np.argwhere(np.triu(may, 1))


def _probe(model: mujoco.MjModel, qpos: NDArray[np.float64], ctrl: NDArray[np.float64]) -> tuple[int, int]:
    """Return the maximum contacts and constraint rows (without friction) while a robot falls to each of its sides."""
    data, contacts, rows = mujoco.MjData(model), 0, 0
    root = int(np.nonzero(model.jnt_type == mujoco.mjtJoint.mjJNT_FREE)[0][0])
    quat = int(model.jnt_qposadr[root]) + 3
    for fall in _FALLS:
        mujoco.mj_resetData(model, data)
        data.qpos, data.ctrl = qpos, ctrl
        data.qpos[quat : quat + 4] = fall
        for _ in range(round(_FALL_SECONDS / model.opt.timestep)):
            mujoco.mj_step(model, data)
            contacts, rows = max(contacts, data.ncon), max(rows, data.nefc - data.nf)
    return contacts, rows
