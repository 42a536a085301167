"""Find the parts of a robot that motions move: legs with knees, waist and arms, whatever its joints are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
import mujoco
import numpy as np

from mtrack import MotionError, RobotModel
from mtrack_procedural.timing import Array

_PARALLEL = 0.8  # cosine of the angle between axes that turn a limb in the same plane
_LEAST_JOINTS = 3  # of a leg

Turn = tuple[str, float]
"""A joint, and the sign of the angle that moves it in the direction that is meant."""


@attrs.frozen
class Leg:
    """One leg."""

    joints: tuple[str, ...]
    """From the hip down."""
    foot: str
    hip: Turn
    """The joint that swings the leg; positive angles take the knee forward."""
    knee: Turn
    """Positive angles bend it: the foot goes back."""
    ankle: Turn | None
    """The joint that tilts the foot; positive angles raise the toes."""


@attrs.frozen
class Arm:
    """One arm."""

    joints: tuple[str, ...]
    hand: str
    swing: Turn
    """The joint that swings the arm; positive angles take the hand back."""
    spread: Turn
    """The joint that lifts the arm sideways; positive angles take the hand away from the body."""
    bend: Turn
    """The elbow; positive angles stretch it: the hand goes back and down."""


@attrs.frozen
class BodyPlan:
    """The parts of one robot."""

    pelvis: str
    """The body that carries both legs."""
    legs: tuple[Leg, Leg]
    """Left and right."""
    arms: tuple[Arm, ...]
    """Left and right; empty for a robot without arms."""
    trunk: Mapping[str, Turn]
    """Joints that turn the trunk on the pelvis, by `roll`, `pitch`, `yaw`: to the right, forward, to the left."""


def body_plan(robot: RobotModel, model: mujoco.MjModel, data: mujoco.MjData) -> BodyPlan:
    """Return the parts of a robot; `data` is its standing pose, facing along x. Raises MotionError."""
    feet = _pair(robot, model, data, "feet")
    if feet is None:
        raise MotionError("it has no two feet; name a left and a right one in the set 'feet'")
    chains = [_joints_above(model, foot) for foot in feet]
    shared = [joint for joint in chains[0] if joint in chains[1]]
    pelvis = _common_ancestor(model, *feet)
    legs = [
        _leg(robot, model, data, [joint for joint in chain if joint not in shared], foot)
        for chain, foot in zip(chains, feet, strict=True)
    ]
    hands = _pair(robot, model, data, "hands")
    arms: tuple[Arm, ...] = ()
    trunk_joints = [model.joint(name).id for name in robot.sets.get("waist", ()) if name in robot.joint_names]
    if hands is not None:
        chains = [_joints_above(model, hand) for hand in hands]
        common = [joint for joint in chains[0] if joint in chains[1]]
        found = [
            _arm(robot, model, data, [joint for joint in chain if joint not in common], hand)
            for chain, hand in zip(chains, hands, strict=True)
        ]
        arms = tuple(arm for arm in found if arm is not None)
        trunk_joints = trunk_joints or [joint for joint in common if joint not in shared]
    trunk = _trunk(robot, model, data, [*shared, *(joint for joint in trunk_joints if joint not in shared)], shared)
    return BodyPlan(model.body(pelvis).name, (legs[0], legs[1]), arms if len(arms) == len(legs) else (), trunk)


def _pair(robot: RobotModel, model: mujoco.MjModel, data: mujoco.MjData, name: str) -> list[int] | None:
    """Return the bodies of a set with one member on each side, the left one first; None if there are no two."""
    known = {model.body(i).name for i in range(model.nbody)}
    members = [model.body(body).id for body in robot.sets.get(name, ()) if body in known]
    if len(members) != 2:
        return None
    return sorted(members, key=lambda body: -data.xpos[body, 1])


def _joints_above(model: mujoco.MjModel, body: int) -> list[int]:
    """Return the hinges between the root and a body, from the root down."""
    found: list[int] = []
    while body:
        first, count = model.body_jntadr[body], model.body_jntnum[body]
        found = [*range(first, first + count), *found]
        body = int(model.body_parentid[body])
    return [joint for joint in found if model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_HINGE]


def _common_ancestor(model: mujoco.MjModel, first: int, second: int) -> int:
    above = {first}
    while first:
        first = int(model.body_parentid[first])
        above.add(first)
    while second not in above:
        second = int(model.body_parentid[second])
    return second


def _names(robot: RobotModel, model: mujoco.MjModel, joints: Sequence[int]) -> list[int]:
    """Return the joints that the robot can move."""
    return [joint for joint in joints if model.joint(joint).name in robot.joint_names]


def _leg(robot: RobotModel, model: mujoco.MjModel, data: mujoco.MjData, chain: Sequence[int], foot: int) -> Leg:
    joints = _names(robot, model, chain)
    name = model.body(foot).name
    if len(joints) < _LEAST_JOINTS:
        raise MotionError(f"its leg down to '{name}' has {len(joints)} joints, fewer than {_LEAST_JOINTS}")
    knee = middle_joint(data, joints, data.xpos[foot])
    axis, anchor = data.xaxis[knee], data.xanchor[knee]
    place = joints.index(knee)
    same = [joint for joint in joints if joint != knee and abs(data.xaxis[joint] @ axis) > _PARALLEL]
    above = [joint for joint in same if joints.index(joint) < place]
    below = [joint for joint in same if joints.index(joint) > place]
    if not above:
        raise MotionError(f"its leg down to '{name}' has no joint at the hip that is parallel to the knee")
    hip = above[-1]

    def turn(joint: int, point: Array, sign: float) -> Turn:
        forward = np.cross(data.xaxis[joint], point - data.xanchor[joint])[0]
        return model.joint(joint).name, sign if forward > 0 else -sign

    ankle = None
    if below:  # toes: a point in front of the ankle goes up
        up = np.cross(data.xaxis[below[-1]], [1.0, 0.0, 0.0])[2]
        ankle = (model.joint(below[-1]).name, 1.0 if up > 0 else -1.0)
    return Leg(
        joints=tuple(model.joint(joint).name for joint in joints),
        foot=name,
        hip=turn(hip, anchor, 1.0),
        knee=turn(knee, data.xpos[foot] + [0.0, 0.0, -1e-3], -1.0),
        ankle=ankle,
    )


def middle_joint(data: mujoco.MjData, joints: Sequence[int], end: Array) -> int:
    """Return the joint that bends a limb most: knee or elbow, far from both ends of the limb and across it."""
    start = data.xanchor[joints[0]]

    def reach(joint: int) -> float:
        axis, anchor = data.xaxis[joint], data.xanchor[joint]
        return float(np.linalg.norm(np.cross(axis, end - anchor)) * np.linalg.norm(np.cross(axis, anchor - start)))

    return max(joints, key=reach)


def _arm(robot: RobotModel, model: mujoco.MjModel, data: mujoco.MjData, chain: Sequence[int], hand: int) -> Arm | None:
    joints = _names(robot, model, chain)
    if len(joints) < _LEAST_JOINTS:
        return None
    end = data.xpos[hand]
    bend = middle_joint(data, joints, end)
    upper = joints[: joints.index(bend)]
    if not upper:
        return None
    moves = {joint: np.cross(data.xaxis[joint], end - data.xanchor[joint]) for joint in joints}
    swing = max(upper, key=lambda joint: abs(moves[joint][0]))
    spread = max((joint for joint in upper if joint != swing), key=lambda joint: abs(moves[joint][1]), default=swing)
    outward = np.sign(end[1] - data.subtree_com[0, 1])

    def turn(joint: int, amount: float) -> Turn:
        return model.joint(joint).name, 1.0 if amount > 0 else -1.0

    return Arm(
        joints=tuple(model.joint(joint).name for joint in joints),
        hand=model.body(hand).name,
        swing=turn(swing, -moves[swing][0]),
        spread=turn(spread, outward * moves[spread][1]),
        bend=turn(bend, -moves[bend][0] - moves[bend][2]),
    )


def _trunk(
    robot: RobotModel, model: mujoco.MjModel, data: mujoco.MjData, joints: Sequence[int], shared: Sequence[int]
) -> dict[str, Turn]:
    """Return the joint of the waist that turns most about each axis; `shared` ones turn the pelvis, not the trunk."""
    found: dict[str, Turn] = {}
    for number, name in enumerate(("roll", "pitch", "yaw")):
        for joint in _names(robot, model, joints):
            amount = data.xaxis[joint, number] * (-1.0 if joint in shared else 1.0)
            if abs(amount) > _PARALLEL:
                found[name] = (model.joint(joint).name, 1.0 if amount > 0 else -1.0)
    return found
