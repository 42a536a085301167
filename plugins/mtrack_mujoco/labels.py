"""Labels for the values in a MuJoCo model's arrays: the joint, body or actuator that each belongs to."""

from __future__ import annotations

import math

import mujoco

_FREE_POS, _FREE_VEL = ("x", "y", "z", "qw", "qx", "qy", "qz"), ("x", "y", "z", "rot x", "rot y", "rot z")
_BALL_POS, _BALL_VEL = ("qw", "qx", "qy", "qz"), ("rot x", "rot y", "rot z")
_PARTS = {
    mujoco.mjtJoint.mjJNT_FREE: (_FREE_POS, _FREE_VEL),
    mujoco.mjtJoint.mjJNT_BALL: (_BALL_POS, _BALL_VEL),
}


def of_positions(model: mujoco.MjModel) -> tuple[str, ...]:
    """Return the joint of each position coordinate, [nq]."""
    return tuple(label for joint in range(model.njnt) for label in _joint(model, joint, 0))


def of_dofs(model: mujoco.MjModel) -> tuple[str, ...]:
    """Return the joint of each degree of freedom, [nv]."""
    return tuple(label for joint in range(model.njnt) for label in _joint(model, joint, 1))


def of_actuators(model: mujoco.MjModel) -> tuple[str, ...]:
    """Return the joint that each actuator drives, or the actuator's own name if it drives no joint, [nu]."""
    joints = (mujoco.mjtTrn.mjTRN_JOINT, mujoco.mjtTrn.mjTRN_JOINTINPARENT)
    return tuple(
        model.joint(model.actuator_trnid[i, 0]).name if model.actuator_trntype[i] in joints else model.actuator(i).name
        for i in range(model.nu)
    )


def of_wrenches(model: mujoco.MjModel) -> tuple[str, ...]:
    """Return the body and axis of each external force and torque, [nbody * 6]."""
    axes = ("force x", "force y", "force z", "torque x", "torque y", "torque z")
    return tuple(f"{model.body(i).name} {axis}" for i in range(model.nbody) for axis in axes)


def of_field(model: mujoco.MjModel, name: str, shape: tuple[int, ...]) -> tuple[str, ...]:
    """Return the labels of all values of a model field, flattened row by row."""
    kind, count = name.partition("_")[0], math.prod(shape)
    named = {
        "body": [model.body(i).name for i in range(model.nbody)],
        "geom": [model.geom(i).name or f"geom {i}" for i in range(model.ngeom)],
        "jnt": [model.joint(i).name for i in range(model.njnt)],
        "dof": list(of_dofs(model)),
        "actuator": list(of_actuators(model)),
    }.get(kind, [])
    if not shape or shape[0] != len(named):
        named = [""] if not shape else [str(i) for i in range(shape[0])]
    width = count // max(1, len(named))
    return tuple(name if width == 1 else f"{name}[{k}]" for name in named for k in range(width))


def _joint(model: mujoco.MjModel, joint: int, which: int) -> list[str]:
    name = model.joint(joint).name or f"joint of {model.body(model.jnt_bodyid[joint]).name}"
    parts = _PARTS.get(mujoco.mjtJoint(int(model.jnt_type[joint])))
    return [name] if parts is None else [f"{name} {part}" for part in parts[which]]
