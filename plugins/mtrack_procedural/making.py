"""From an order to a motion: drawn, planned, carried out by the whole body, and checked."""

from __future__ import annotations

import functools

import attrs
import numpy as np

from mtrack.errors import MotionError
from mtrack.robot import RobotModel
from mtrack_g1.robot import G1
from mtrack_procedural.balance import BalancedMotion, carry_out
from mtrack_procedural.kinds import KINDS
from mtrack_procedural.kinematics import Skeleton
from mtrack_procedural.plan import ANKLE_HEIGHT, SIDES, Draw, Rest
from mtrack_procedural.timing import FPS, Array

_MIN_MARGIN = 0.012  # m; a sole reaches 22 mm to each side at its narrowest
_RANGE_SHARE = 0.95
_VELOCITY_SHARE = 0.5

Values = tuple[float, ...]


@attrs.frozen
class RobotData:
    """What of a G1 its motions depend on; equal ones make equal motions."""

    joint_names: tuple[str, ...]
    root_pos: Values
    joint_pos: Values
    lower: Values
    upper: Values
    velocity_limit: Values

    @staticmethod
    def of(robot: RobotModel) -> RobotData:
        """Return the body of a robot in its default pose."""
        lower, upper = robot.joint_range.double().T.tolist()
        start, joint_pos = robot.default_root_pos.double().tolist(), robot.default_joint_pos.double().tolist()
        speed = robot.velocity_limit.double().tolist()
        return RobotData(robot.joint_names, *(tuple(part) for part in (start, joint_pos, lower, upper, speed)))


@attrs.frozen
class MotionRequest:
    """One motion, completely determined."""

    kind: str
    parameters: tuple[tuple[str, float], ...]
    side: str
    """Left or right; empty where chance decides."""
    seeds: tuple[int, ...]
    spread: float


@functools.lru_cache(maxsize=256)
def made_motion(order: MotionRequest, body: RobotData) -> BalancedMotion:
    """Return a motion, from memory where it was made before: every phase asks again. Raises MotionError."""
    rng = np.random.default_rng(order.seeds)
    drawn = int(rng.integers(2))
    draw = Draw(rng, order.spread, SIDES.index(order.side) if order.side else drawn)
    skeleton = _skeleton(body.joint_names)
    plan = KINDS[order.kind].plan(_rest(body, skeleton), draw, **dict(order.parameters))
    motion = carry_out(plan, skeleton, np.array(body.joint_pos))
    _check(motion, body)
    return motion


@functools.lru_cache(maxsize=8)
def _skeleton(joint_names: tuple[str, ...]) -> Skeleton:
    return Skeleton(G1().spec().compile(), joint_names)


def _rest(body: RobotData, skeleton: Skeleton) -> Rest:
    """Return the default pose with level soles on the floor."""
    level = np.array([[1.0, 0.0, 0.0, 0.0]])
    poses = skeleton.poses(np.array([body.root_pos]), level, np.array([body.joint_pos]))
    feet = poses.foot_pos[0].copy()
    feet[:, 2] = ANKLE_HEIGHT
    joints = dict(zip(body.joint_names, body.joint_pos, strict=True))
    return Rest(com=poses.com[0], pelvis_height=body.root_pos[2], feet=feet, joints=joints)


def _check(motion: BalancedMotion, body: RobotData) -> None:
    """Raise MotionError where a motion is out of balance, beyond a joint's range, or too fast."""
    worst = int(motion.margin.argmin())
    if motion.margin[worst] < _MIN_MARGIN:
        short = 1000 * (_MIN_MARGIN - motion.margin[worst])
        raise MotionError(f"at {worst / FPS:.2f} s: the zero-moment point is {short:.0f} mm too far out for balance")
    low, high = np.array(body.lower), np.array(body.upper)
    beyond = np.abs(motion.joint_pos - (low + high) / 2) / (_RANGE_SHARE * (high - low) / 2)
    _refuse_excess(beyond, body.joint_names, "comes too close to the end of its range")
    speed = np.abs(np.diff(motion.joint_pos, axis=0)) * FPS
    _refuse_excess(speed / (_VELOCITY_SHARE * np.array(body.velocity_limit)), body.joint_names, "is too fast")


def _refuse_excess(used: Array, joint_names: tuple[str, ...], complaint: str) -> None:
    """Raise MotionError if a share [T, J] exceeds 1."""
    frame, joint = np.unravel_index(int(used.argmax()), used.shape)
    if used[frame, joint] > 1:
        raise MotionError(f"at {frame / FPS:.2f} s: {joint_names[joint]} {complaint}")
