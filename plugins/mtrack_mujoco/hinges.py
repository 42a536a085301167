"""Constants of links that hang on one another by hinges, taken from a compiled robot."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from mtrack.errors import NameProblem
from mtrack.protocols import Robot
from mtrack.robot import RobotModel

Array = NDArray[np.float64]
_SHOWN = 6  # bodies


def several_joints(model: mujoco.MjModel, root: str) -> list[str]:
    """Return the bodies below a root that have more than one joint or one that is no hinge, in words."""
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
            found.append(f"'{name}' has a joint that is no hinge ({others[0]})")
    return found


def compiled_with_single_hinges(described: Robot, robot: RobotModel) -> mujoco.MjModel:
    """Return a compiled robot. Raises NameProblem if a body has several joints, or one that is no hinge."""
    model = described.spec().compile()
    found = several_joints(model, robot.body_names[0])
    if found:
        more = f" and {len(found) - _SHOWN} more bodies" if len(found) > _SHOWN else ""
        raise NameProblem(
            f"motion_tracking needs robots with at most one joint in each body, a hinge; of {robot.name} "
            f"{', '.join(found[:_SHOWN])}{more}. Put a body of little mass (0.01 kg) between each two hinges"
        )
    return model


def chain(model: mujoco.MjModel, body: int, base: int) -> list[int]:
    """Return the bodies from below `base` down to `body`. Raises NameProblem where it does not hang there."""
    found: list[int] = []
    end = body
    while body != base:
        if body == 0:
            raise NameProblem(f"'{model.body(end).name}' does not hang on '{model.body(base).name}'")
        found.append(body)
        body = int(model.body_parentid[body])
    return found[::-1]


def link(model: mujoco.MjModel, body: int) -> Array:
    """Return the constants of a link, [3, 3, 4]: fixed, swing, bend. Raises NameProblem for other joints than a hinge.

    Its pose in its parent is fixed + sin(angle) * swing + (1 - cos(angle)) * bend: Rodrigues' formula with the model's
    constants multiplied in.
    """
    turn = np.zeros(9)
    mujoco.mju_quat2Mat(turn, model.body_quat[body])
    rotation = turn.reshape(3, 3)
    fixed = np.column_stack((rotation, model.body_pos[body]))
    if model.body_jntnum[body] == 0:
        return np.stack((fixed, np.zeros((3, 4)), np.zeros((3, 4))))
    joint = int(model.body_jntadr[body])
    if model.body_jntnum[body] != 1 or model.jnt_type[joint] != mujoco.mjtJoint.mjJNT_HINGE:
        raise NameProblem(f"'{model.body(body).name}': the links of a limb must have one hinge each")
    x, y, z = model.jnt_axis[joint]
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    anchor = model.jnt_pos[joint]
    moving = [rotation @ cross, rotation @ cross @ cross]
    return np.stack((fixed, *(np.column_stack((part, -part @ anchor)) for part in moving)))


def hinge_name(model: mujoco.MjModel, body: int) -> str:
    """Return the name of the joint of a link; empty where it has none."""
    return str(model.joint(model.body_jntadr[body]).name) if model.body_jntnum[body] else ""
