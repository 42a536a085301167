"""Make a requested motion: draw random values, plan it, execute the plan with the whole body, and check it."""

from __future__ import annotations

import functools

import attrs
import numpy as np

from mtrack import MotionError, RobotModel
from mtrack_g1.robot import G1
from mtrack_procedural.balance import BalancedMotion, carry_out
from mtrack_procedural.kinds import KINDS
from mtrack_procedural.kinematics import Skeleton
from mtrack_procedural.plan import ANKLE_HEIGHT, SIDES, Draw, Rest
from mtrack_procedural.timing import FPS, Array

_MIN_MARGIN = 0.012  # m; a sole extends 22 mm to each side at its narrowest
_RANGE_SHARE = 0.95
_VELOCITY_SHARE = 0.5

Values = tuple[float, ...]


@attrs.frozen
class RobotData:
    """The data of a G1 that its motions depend on; equal data give equal motions."""

    joint_names: tuple[str, ...]
    root_pos: Values
    joint_pos: Values
    lower: Values
    upper: Values
    velocity_limit: Values

    @staticmethod
    def of(robot: RobotModel) -> RobotData:
        """Return the data of a robot in its default pose."""
        lower, upper = robot.joint_range.double().T.tolist()
        start, joint_pos = robot.default_root_pos.double().tolist(), robot.default_joint_pos.double().tolist()
        speed = robot.velocity_limit.double().tolist()
        return RobotData(robot.joint_names, *(tuple(part) for part in (start, joint_pos, lower, upper, speed)))


@attrs.frozen
class MotionRequest:
    """The request for one motion, which it determines completely."""

    kind: str
    parameters: tuple[tuple[str, float], ...]
    side: str
    """Left or right; empty for a random side."""
    seeds: tuple[int, ...]
    spread: float


@functools.lru_cache(maxsize=256)
def made_motion(request: MotionRequest, robot_data: RobotData) -> BalancedMotion:
    """Make a motion, cached because every phase requests it again. Raises MotionError."""
    rng = np.random.default_rng(request.seeds)
    drawn = int(rng.integers(2))
    draw = Draw(rng, request.spread, SIDES.index(request.side) if request.side else drawn)
    skeleton = _skeleton(robot_data.joint_names)
    plan = KINDS[request.kind].plan(_rest(robot_data, skeleton), draw, **dict(request.parameters))
    motion = carry_out(plan, skeleton, np.array(robot_data.joint_pos))
    _check(motion, robot_data)
    return motion


@functools.lru_cache(maxsize=8)
def _skeleton(joint_names: tuple[str, ...]) -> Skeleton:
    return Skeleton(G1().spec().compile(), joint_names)


def _rest(robot_data: RobotData, skeleton: Skeleton) -> Rest:
    """Return the default pose with level soles on the floor."""
    level = np.array([[1.0, 0.0, 0.0, 0.0]])
    poses = skeleton.poses(np.array([robot_data.root_pos]), level, np.array([robot_data.joint_pos]))
    feet = poses.foot_pos[0].copy()
    feet[:, 2] = ANKLE_HEIGHT
    joints = dict(zip(robot_data.joint_names, robot_data.joint_pos, strict=True))
    return Rest(com=poses.com[0], pelvis_height=robot_data.root_pos[2], feet=feet, joints=joints)


def _check(motion: BalancedMotion, robot_data: RobotData) -> None:
    """Raise MotionError if a motion is out of balance, close to a joint limit, or too fast."""
    worst = int(motion.margin.argmin())
    if motion.margin[worst] < _MIN_MARGIN:
        short = 1000 * (_MIN_MARGIN - motion.margin[worst])
        raise MotionError(f"at {worst / FPS:.2f} s: the zero-moment point is {short:.0f} mm too far out for balance")
    low, high = np.array(robot_data.lower), np.array(robot_data.upper)
    beyond = np.abs(motion.joint_pos - (low + high) / 2) / (_RANGE_SHARE * (high - low) / 2)
    _reject_excess(beyond, robot_data.joint_names, "comes too close to the end of its range")
    speed = np.abs(np.diff(motion.joint_pos, axis=0)) * FPS
    _reject_excess(
        speed / (_VELOCITY_SHARE * np.array(robot_data.velocity_limit)), robot_data.joint_names, "is too fast"
    )


def _reject_excess(used: Array, joint_names: tuple[str, ...], complaint: str) -> None:
    """Raise MotionError if a share [T, J] exceeds 1."""
    frame, joint = np.unravel_index(int(used.argmax()), used.shape)
    if used[frame, joint] > 1:
        raise MotionError(f"at {frame / FPS:.2f} s: {joint_names[joint]} {complaint}")
