"""Checks a robot's MuJoCo description against its names and constants: joints, position servos, limits, floor."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import mujoco

from mtrack import MtrackError, Robot, RobotModel, SlotError
from mtrack.errors import describe_error, did_you_mean, is_from_user
from mtrack_mujoco.simulation import compile_physics

_RELATIVE = 1e-3  # tolerance of gains and limits, which are often written with few decimals
_ANGLE = 1e-3  # rad
_SHOWN = 6  # names
_HINGE = mujoco.mjtJoint.mjJNT_HINGE
_ON_JOINT = [int(kind) for kind in (mujoco.mjtTrn.mjTRN_JOINT, mujoco.mjtTrn.mjTRN_JOINTINPARENT)]
_DIRECT = [
    int(kind) for kind in (mujoco.mjtDyn.mjDYN_NONE, mujoco.mjtDyn.mjDYN_FILTER, mujoco.mjtDyn.mjDYN_FILTEREXACT)
]
_SERVO = (
    "torque = kp (target - angle) - kv velocity, gear 1; in MJCF <position joint=... kp=... kv=...>, in Python "
    "actuator.set_to_position(kp, kv)"
)


def described(robot: Robot, names: RobotModel) -> mujoco.MjSpec:
    """Return a robot's new description. Raises SlotError if it is not a spec or lacks a joint or body."""
    try:
        spec: object = robot.spec()
    except MtrackError:
        raise
    except BaseException as error:  # sys.exit in a robot is that robot's error
        if is_from_user(error):
            raise
        raise SlotError("robot", f"its spec() raised {describe_error(error)}") from error
    if not isinstance(spec, mujoco.MjSpec):
        raise SlotError(
            "robot",
            f"its spec() returned {type(spec).__name__}; return a new mujoco.MjSpec, not compiled: sensors are added "
            "to it",
        )
    _require_names("joint", names.joint_names, [joint.name for joint in spec.joints])
    _require_names("body", names.body_names, [body.name for body in spec.bodies])
    return spec


def compiled(spec: mujoco.MjSpec, names: RobotModel) -> mujoco.MjModel:
    """Compile a description and check it against the robot's names and constants. Raises SlotError."""
    try:
        model = compile_physics(spec)
    except ValueError as error:
        raise SlotError("robot", f"the description of its spec() does not compile: {error}") from error
    require_consistent(model, names)
    return model


def require_consistent(model: mujoco.MjModel, names: RobotModel) -> None:
    """Raise SlotError for the first contradiction between a compiled robot and its names and constants."""
    for problem in _problems(model, names):
        raise SlotError("robot", problem)


def _problems(model: mujoco.MjModel, names: RobotModel) -> Iterator[str]:
    yield from _servo_problems(model, names)
    yield from _number_problems(model, names)
    if not has_floor(model):
        yield (
            "its description has no floor: no geom of the world collides with the robot's; add one to the worldbody, "
            "e.g. spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=(0, 0, 0.05))"
        )


def _require_names(kind: str, wanted: Sequence[str], known: Sequence[str]) -> None:
    missing = [name for name in wanted if name not in known]
    if missing:
        hint = did_you_mean(missing[0], known) or f"it has: {_listed(known)}"
        raise SlotError("robot", f"its description has no {kind} {_listed(missing)}, which model() lists; {hint}")


def _servo_problems(model: mujoco.MjModel, names: RobotModel) -> Iterator[str]:
    drivers: dict[str, list[int]] = {name: [] for name in names.joint_names}
    for i in range(model.nu):
        if model.actuator_trntype[i] in _ON_JOINT:
            drivers.get(model.joint(int(model.actuator_trnid[i, 0])).name, []).append(i)
    undriven = [name for name, found in drivers.items() if not found]
    if undriven:
        yield f"its description has no actuator on {_listed(undriven)}; each joint needs a position servo: {_SERVO}"
    for name, found in drivers.items():
        if len(found) > 1:
            yield f"its description has {len(found)} actuators on '{name}'; keep one position servo"
        if model.joint(name).type[0] != _HINGE:
            yield f"'{name}' is not a hinge; positions of joints are angles [rad]"
    wrong = [name for name, found in drivers.items() if found and not _is_servo(model, found[0])]
    if wrong:
        yield f"the actuator on {_listed(wrong)} is not a position servo; each joint needs one: {_SERVO}"


def _is_servo(model: mujoco.MjModel, actuator: int) -> bool:
    """Return whether an actuator drives its joint to the angle that it receives."""
    gain, bias = model.actuator_gainprm[actuator], model.actuator_biasprm[actuator]
    is_linear = (
        model.actuator_gaintype[actuator] == mujoco.mjtGain.mjGAIN_FIXED
        and model.actuator_biastype[actuator] == mujoco.mjtBias.mjBIAS_AFFINE
        and model.actuator_dyntype[actuator] in _DIRECT
    )
    has_own_unit = model.actuator_gear[actuator, 0] != 1  # its target would be the angle times the gear
    return bool(is_linear and not has_own_unit and gain[0] > 0 and bias[0] == 0 and _agree(-bias[1], gain[0]))


def _number_problems(model: mujoco.MjModel, names: RobotModel) -> Iterator[str]:
    order = "are the constants of model() in the order of joint_names, and in SI units?"
    servos = {
        int(model.actuator_trnid[i, 0]): i for i in range(model.nu) if model.actuator_trntype[i] in _ON_JOINT
    }  # tendons and sites are numbered from 0 too
    for index, name in enumerate(names.joint_names):
        joint = model.joint(name)
        low, high = names.joint_range[index].tolist()
        if joint.limited[0] and (low < joint.range[0] - _ANGLE or high > joint.range[1] + _ANGLE):
            least, most = joint.range
            yield (
                f"'{name}' ranges from {low:.4g} to {high:.4g} rad in model(), but only from {least:.4g} to {most:.4g} "
                f"in its description; {order}"
            )
        stiffness = float(model.actuator_gainprm[servos[joint.id], 0])
        if not _agree(stiffness, float(names.stiffness[index])):
            yield (
                f"the stiffness of '{name}' is {float(names.stiffness[index]):.4g} N m/rad in model(), but "
                f"{stiffness:.4g} in its description; {order}"
            )


def has_floor(model: mujoco.MjModel) -> bool:
    """Return whether a fixed geom can touch a moving one."""
    is_fixed = model.body_weldid[model.geom_bodyid] == 0
    kinds, meets = model.geom_contype, model.geom_conaffinity
    touch = (kinds[is_fixed][:, None] & meets[~is_fixed]) | (kinds[~is_fixed] & meets[is_fixed][:, None])
    are_paired = is_fixed[model.pair_geom1] != is_fixed[model.pair_geom2]  # <contact><pair>, whatever contype says
    return bool(touch.any() or are_paired.any())


def _agree(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=_RELATIVE, abs_tol=1e-6)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown
