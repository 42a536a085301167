"""Constants of bodies that hinges connect, from a compiled robot, for kinematics in torch."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from mtrack import NameProblem

Array = NDArray[np.float64]


def without_hinges(model: mujoco.MjModel, root: str) -> list[str]:
    """Describe the bodies below a root that have a joint that is not a hinge."""
    found = []
    below = (model.body_rootid == model.body(root).rootid[0]).nonzero()[0].tolist()
    for body in map(model.body, below):
        if body.name == root:
            continue
        joints = [model.joint(i) for i in range(int(body.jntadr[0]), int(body.jntadr[0] + body.jntnum[0]))]
        others = [joint.name for joint in joints if joint.type[0] != mujoco.mjtJoint.mjJNT_HINGE]
        if others:
            found.append(f"'{body.name}' has a joint that is not a hinge ({others[0]})")
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
    found = links(model, body)
    if len(found) > 1:
        raise NameProblem(f"'{model.body(body).name}': each body of a limb must have one joint, a hinge")
    return found[0][1]


def links(model: mujoco.MjModel, body: int) -> list[tuple[str, Array]]:
    """Return the joint of each link of a body, and the link's constants as in `link`; "" for a body without joints.

    A body with several hinges is a chain of links at the same place, one for each. Raises NameProblem if a joint is
    not a hinge.
    """
    turn = np.zeros(9)
    mujoco.mju_quat2Mat(turn, model.body_quat[body])
    rotation = turn.reshape(3, 3)
    fixed = np.column_stack((rotation, model.body_pos[body]))
    if model.body_jntnum[body] == 0:
        return [("", np.stack((fixed, np.zeros((3, 4)), np.zeros((3, 4)))))]
    found = []
    for joint in range(int(model.body_jntadr[body]), int(model.body_jntadr[body] + model.body_jntnum[body])):
        name = str(model.joint(joint).name)
        if model.jnt_type[joint] != mujoco.mjtJoint.mjJNT_HINGE:
            raise NameProblem(f"'{model.body(body).name}': its joint '{name}' is not a hinge")
        x, y, z = model.jnt_axis[joint]
        cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
        anchor = model.jnt_pos[joint]
        moving = [rotation @ cross, rotation @ cross @ cross]
        found.append((name, np.stack((fixed, *(np.column_stack((part, -part @ anchor)) for part in moving)))))
        rotation = np.eye(3)
        fixed = np.column_stack((rotation, np.zeros(3)))
    return found


def hinge_name(model: mujoco.MjModel, body: int) -> str:
    """Return the name of the joint of a body; empty if it has no joint."""
    return str(model.joint(model.body_jntadr[body]).name) if model.body_jntnum[body] else ""
