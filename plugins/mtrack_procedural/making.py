"""Make a requested motion: draw random values, plan it, execute the plan with the whole body, and check it."""

from __future__ import annotations

import functools
import hashlib

import attrs
import mujoco
import numpy as np

from mtrack import MotionError, RobotModel
from mtrack_procedural.balance import BalancedMotion, carry_out
from mtrack_procedural.kinds import KINDS
from mtrack_procedural.plan import SIDES, Draw, Rest
from mtrack_procedural.rest import Stance, joint_limits, stance
from mtrack_procedural.timing import FPS, Array

_MIN_MARGIN = 0.012  # m; a sole extends 22 mm to each side at its narrowest
_MARGIN_SHARE = 0.55  # of the half width of a narrower sole
_MOST_TILT = np.radians(3)
_RANGE_SHARE = 0.95
_VELOCITY_SHARE = 0.5
_MOST_ACCELERATION = 450.0  # rad/s^2; more is a jump, where a leg is nearly straight; a G1 in a hurry needs 280

Values = tuple[float, ...]


@attrs.frozen
class RobotData:
    """The data of a robot that its motions depend on; equal data give equal motions."""

    name: str
    joint_names: tuple[str, ...]
    root_pos: Values
    joint_pos: Values
    lower: Values
    upper: Values
    velocity_limit: Values
    sets: str
    """Named sets and poses, as text."""
    description: str
    """Hash of the compiled description."""

    @staticmethod
    def of(robot: RobotModel, model: mujoco.MjModel) -> RobotData:
        """Return the data of a robot whose description compiles to `model`."""
        lower, upper = joint_limits(robot).T.tolist()
        start, joint_pos = robot.default_root_pos.double().tolist(), robot.default_joint_pos.double().tolist()
        speed = robot.velocity_limit.double().tolist()
        image = np.empty(mujoco.mj_sizeModel(model), np.uint8)
        mujoco.mj_saveModel(model, None, image)
        sets = {name: robot.sets.get(name) for name in ("feet", "hands", "waist")}
        named = repr((sets, {name: dict(pose) for name, pose in robot.poses.items()}))
        return RobotData(
            name=robot.name,
            joint_names=robot.joint_names,
            root_pos=tuple(start),
            joint_pos=tuple(joint_pos),
            lower=tuple(lower),
            upper=tuple(upper),
            velocity_limit=tuple(speed),
            sets=named,
            description=hashlib.sha256(image.tobytes()).hexdigest(),
        )


@attrs.frozen
class Biped:
    """A robot that motions are made for."""

    data: RobotData
    stance: Stance = attrs.field(eq=False)

    @staticmethod
    def of(robot: RobotModel) -> Biped:
        """Compile the description of a robot and find its rest pose. Raises MotionError."""
        if robot.description is None:
            raise MotionError("it has no description of its geometry (RobotModel.description)")
        model = robot.description().compile()
        return Biped(RobotData.of(robot, model), stance(robot, model))


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
def made_motion(request: MotionRequest, biped: Biped) -> BalancedMotion | MotionError:
    """Make a motion, or return why it is impossible; cached because every phase requests it again."""
    try:
        return _made_motion(request, biped)
    except MotionError as error:
        return error


def _made_motion(request: MotionRequest, biped: Biped) -> BalancedMotion:
    """Make a motion. Raises MotionError."""
    rng = np.random.default_rng(request.seeds)
    drawn = int(rng.integers(2))
    draw = Draw(rng, request.spread, SIDES.index(request.side) if request.side else drawn)
    skeleton, rest = biped.stance.skeleton, biped.stance.rest
    plan = KINDS[request.kind].plan(rest, draw, **dict(request.parameters))
    motion = carry_out(plan, skeleton, rest)
    _check(motion, biped.data, rest)
    return motion


def _check(motion: BalancedMotion, robot_data: RobotData, rest: Rest) -> None:
    """Raise MotionError if a motion is out of balance, tilts a sole, is close to a joint limit, or too fast."""
    frame, side = np.unravel_index(int(motion.tilt.argmax()), motion.tilt.shape)
    if motion.tilt[frame, side] > _MOST_TILT:
        angle = np.degrees(motion.tilt[frame, side])
        count = len(rest.body.legs[int(side)].joints)
        raise MotionError(
            f"at {frame / FPS:.2f} s: the {SIDES[int(side)]} sole tilts by {angle:.0f} degrees, because a leg has "
            f"{count} joints"
        )
    worst = int(motion.margin.argmin())
    least = min(_MIN_MARGIN, _MARGIN_SHARE * rest.soles.narrowest)
    if motion.margin[worst] < least:
        short = 1000 * (least - motion.margin[worst])
        raise MotionError(f"at {worst / FPS:.2f} s: the zero-moment point is {short:.0f} mm too far out for balance")
    low, high = np.array(robot_data.lower), np.array(robot_data.upper)
    beyond = np.abs(motion.joint_pos - (low + high) / 2) / (_RANGE_SHARE * (high - low) / 2)
    _reject_excess(beyond, robot_data.joint_names, "comes too close to the end of its range")
    speed = np.abs(np.diff(motion.joint_pos, axis=0)) * FPS
    _reject_excess(
        speed / (_VELOCITY_SHARE * np.array(robot_data.velocity_limit)), robot_data.joint_names, "is too fast"
    )
    acceleration = np.abs(np.diff(motion.joint_pos, 2, axis=0)) * FPS**2
    _reject_excess(acceleration / _MOST_ACCELERATION, robot_data.joint_names, "jumps, because a leg is too straight")


def _reject_excess(used: Array, joint_names: tuple[str, ...], complaint: str) -> None:
    """Raise MotionError if a share [T, J] exceeds 1."""
    frame, joint = np.unravel_index(int(used.argmax()), used.shape)
    if used[frame, joint] > 1:
        raise MotionError(f"at {frame / FPS:.2f} s: {joint_names[joint]} {complaint}")
