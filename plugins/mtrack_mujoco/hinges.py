"""Constants of bodies that hinges connect, from a compiled robot, for kinematics in torch."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from mtrack import NameProblem

Array = NDArray[np.float64]


def several_joints(model: mujoco.MjModel, root: str) -> list[str]:
    """Describe the bodies below a root that have more than one joint, or one that is not a hinge."""
    found = []
    below = (model.body_rootid == model.body(root).rootid[0]).nonzero()[0].tolist()
    for body in map(model.body, below):
        if body.name == root:
            continue
        name = body.name
        joints = [model.joint(i) for i in range(int(body.jntadr[0]), int(body.jntadr[0] + body.jntnum[0]))]
        others = [joint.name for joint in joints if joint.type[0] != mujoco.mjtJoint.mjJNT_HINGE]
        if len(joints) > 1:
            found.append(f"'{name}' has {len(joints)} joints ({', '.join(joint.name for joint in joints)})")
        elif others:
            found.append(f"'{name}' has a joint that is not a hinge ({others[0]})")
    return found


def chain(model: mujoco.MjModel, body: int, base: int) -> list[int]:
    """Return the bodies from the one below `base` down to `body`. Raises NameProblem if it does not hang on `base`."""
    found: list[int] = []
    end = body
    while body != base:
        if body == 0:
            raise NameProblem(f"'{model.body(end).name}' does not hang on '{model.body(base).name}'")
        found.append(body)
        body = int(model.body_parentid[body])
    return found[::-1]


def link(model: mujoco.MjModel, body: int) -> Array:
    """Return the constants of a body, [3, 3, 4]: fixed, swing, bend. Raises NameProblem unless its joint is a hinge.

    Its pose in its parent is fixed + sin(angle) * swing + (1 - cos(angle)) * bend: Rodrigues' formula, multiplied by
    the constants of the model.
    """
    turn = np.zeros(9)
    mujoco.mju_quat2Mat(turn, model.body_quat[body])
    rotation = turn.reshape(3, 3)
    fixed = np.column_stack((rotation, model.body_pos[body]))
    if model.body_jntnum[body] == 0:
        return np.stack((fixed, np.zeros((3, 4)), np.zeros((3, 4))))
    joint = int(model.body_jntadr[body])
    if model.body_jntnum[body] != 1 or model.jnt_type[joint] != mujoco.mjtJoint.mjJNT_HINGE:
        raise NameProblem(f"'{model.body(body).name}': each body of a limb must have one joint, a hinge")
    x, y, z = model.jnt_axis[joint]
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    anchor = model.jnt_pos[joint]
    moving = [rotation @ cross, rotation @ cross @ cross]
    return np.stack((fixed, *(np.column_stack((part, -part @ anchor)) for part in moving)))


def hinge_name(model: mujoco.MjModel, body: int) -> str:
    """Return the name of the joint of a body; empty if it has no joint."""
    return str(model.joint(model.body_jntadr[body]).name) if model.body_jntnum[body] else ""
