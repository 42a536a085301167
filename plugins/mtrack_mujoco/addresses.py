"""Indices of a robot's joints, bodies and geoms in a compiled MuJoCo model."""

from __future__ import annotations

import re
from collections.abc import Sequence

import attrs
import mujoco
import torch
from torch import Tensor

from mtrack import MtrackError, NameProblem, RobotModel
from mtrack.errors import did_you_mean

Columns = slice | Tensor
"""Indices along an axis; a slice if they are consecutive, because a slice selects without copying."""


@attrs.frozen(eq=False, kw_only=True)
class Addresses:
    """Indices of one robot's root, joints and visible bodies in a model's arrays."""

    root: int
    """Body index of the root."""
    root_qpos: int
    root_dof: int
    joints: tuple[int, ...]
    qpos: Columns
    dofs: Columns
    actuators: Columns
    dof_indices: tuple[int, ...]
    actuator_indices: tuple[int, ...]
    bodies: Tensor
    """int64 [B], in the order of `RobotModel.body_names`."""

    @staticmethod
    def of(model: mujoco.MjModel, robot: RobotModel) -> Addresses:
        """Look up a robot in a model. Raises MtrackError if the model lacks a part of it."""
        kind = mujoco.mjtObj
        root = _id(model, kind.mjOBJ_BODY, robot.body_names[0])
        free = model.body_jntadr[root]
        if model.body_jntnum[root] != 1 or model.jnt_type[free] != mujoco.mjtJoint.mjJNT_FREE:
            raise MtrackError(f"the root '{robot.body_names[0]}' of {robot.name} has no free joint")
        joints = [_id(model, kind.mjOBJ_JOINT, name) for name in robot.joint_names]
        driven = {int(model.actuator_trnid[i, 0]): i for i in range(model.nu)}
        undriven = [name for name, joint in zip(robot.joint_names, joints, strict=True) if joint not in driven]
        if undriven:
            raise MtrackError(f"{robot.name} has no actuator on joint '{undriven[0]}'")
        dofs = tuple(int(model.jnt_dofadr[joint]) for joint in joints)
        actuators = tuple(driven[joint] for joint in joints)
        return Addresses(
            root=root,
            root_qpos=int(model.jnt_qposadr[free]),
            root_dof=int(model.jnt_dofadr[free]),
            joints=tuple(joints),
            qpos=columns([int(model.jnt_qposadr[joint]) for joint in joints]),
            dofs=columns(dofs),
            actuators=columns(actuators),
            dof_indices=dofs,
            actuator_indices=actuators,
            bodies=torch.tensor([_id(model, kind.mjOBJ_BODY, name) for name in robot.body_names]),
        )

    def to(self, device: torch.device) -> Addresses:
        """Return a copy with its tensors on a device."""
        qpos, dofs, actuators = (
            i.to(device) if isinstance(i, Tensor) else i for i in (self.qpos, self.dofs, self.actuators)
        )
        return attrs.evolve(self, qpos=qpos, dofs=dofs, actuators=actuators, bodies=self.bodies.to(device))


def columns(indices: Sequence[int]) -> Columns:
    """Return indices as a slice if they are consecutive, otherwise as int64."""
    consecutive = list(indices) == list(range(indices[0], indices[0] + len(indices)))
    return slice(indices[0], indices[-1] + 1) if consecutive else torch.tensor(indices)


def elements(
    model: mujoco.MjModel, robot: RobotModel, at: Addresses, kind: str, names: str | Sequence[str]
) -> list[int]:
    """Return model indices of bodies, geoms, joints, dofs or actuators; see `Backend.model_ids`. Raises NameProblem."""
    match kind:
        case "joint" | "dof" | "actuator":
            table = {"joint": at.joints, "dof": at.dof_indices, "actuator": at.actuator_indices}[kind]
            return [table[i] for i in robot.joints(names).tolist()]
        case "body":
            return _matching(robot, names, [model.body(i).name for i in range(model.nbody)], kind)
        case "geom":
            return _geoms(model, robot, names)
    raise NameProblem(f"unknown kind of element '{kind}': choose body, geom, joint, dof or actuator")


def _geoms(model: mujoco.MjModel, robot: RobotModel, names: str | Sequence[str]) -> list[int]:
    colliding = [i for i in range(model.ngeom) if model.geom_contype[i] or model.geom_conaffinity[i]]
    body_names = [model.body(i).name for i in range(model.nbody)]
    found: list[int] = []
    for name in [names] if isinstance(names, str) else names:
        own = [i for i in colliding if re.fullmatch(name, model.geom(i).name)]
        if not own:
            bodies = _matching(robot, name, body_names, "body")
            own = [i for i in colliding if model.geom_bodyid[i] in bodies]
        if not own:
            raise NameProblem(f"'{name}' of {robot.name} has no colliding geom")
        found += [i for i in own if i not in found]
    return found


def _matching(robot: RobotModel, names: str | Sequence[str], known: Sequence[str], kind: str) -> list[int]:
    found: list[int] = []
    for name in [names] if isinstance(names, str) else names:
        for member in robot.sets.get(name, (name,)):
            matches = [i for i, other in enumerate(known) if re.fullmatch(member, other)]
            if not matches:
                hint = did_you_mean(member, [*known, *robot.sets])
                raise NameProblem(f"{robot.name} has no {kind} '{member}'. {hint}".rstrip())
            found += [i for i in matches if i not in found]
    return found


def _id(model: mujoco.MjModel, kind: mujoco.mjtObj, name: str) -> int:
    index = int(mujoco.mj_name2id(model, kind, name))
    if index < 0:
        raise NameProblem(f"the model has no {kind.name.removeprefix('mjOBJ_').lower()} '{name}'")
    return index
