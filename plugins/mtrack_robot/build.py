"""Builds a robot's MuJoCo description for the simulation: motors, contact shapes, frames, solver."""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs
import mujoco

from mtrack import MtrackError
from mtrack.errors import did_you_mean
from mtrack_robot.description import RobotDescription, Sole
from mtrack_robot.model_file import ModelFile
from mtrack_robot.motors import gains_of
from mtrack_robot.symmetry import symmetrise

ROBOT_GROUP = 3
"""Of collision shapes: not drawn by default."""
_DRAWN_GROUPS = 3
_TIMESTEP = 0.005  # s; a larger step is unstable for stiff foot contact
_BOX_HEIGHT = 0.02  # m
_SPHERE, _BOX, _CAPSULE, _MESH = (
    mujoco.mjtGeom.mjGEOM_SPHERE,
    mujoco.mjtGeom.mjGEOM_BOX,
    mujoco.mjtGeom.mjGEOM_CAPSULE,
    mujoco.mjtGeom.mjGEOM_MESH,
)


@attrs.frozen(kw_only=True)
class BuildOptions:
    """How the robot touches itself and the ground; see the parameters of `mtrack_robot.robot.Mjcf`."""

    feet: str = "spheres"
    meshes: str = "capsules"
    self_collision: bool = False
    symmetrise: bool = False
    as_is: bool = False
    """Whether all shapes and their contacts stay as in the model file."""


def build_spec(robot: RobotDescription, file: ModelFile, options: BuildOptions) -> mujoco.MjSpec:
    """Return a new description of the robot alone. Raises MtrackError if the model file lacks a name."""
    spec = file.spec.copy()
    _require_names(robot, spec)
    for joint in list(spec.joints):
        if joint.type == mujoco.mjtJoint.mjJNT_HINGE and joint.name not in robot.joint_names:
            spec.delete(joint)  # a joint that the description leaves out is fixed
    for frame in robot.frames:
        if spec.body(frame.name) is None:
            spec.body(frame.body).add_body(name=frame.name, pos=frame.pos, quat=frame.quat_wxyz)
    if options.symmetrise:
        symmetrise(spec, robot)
    if not options.as_is:
        _set_shapes(spec, robot, options)
    add_motors(spec, robot)
    set_solver(spec)
    return spec


def add_motors(spec: mujoco.MjSpec, robot: RobotDescription) -> None:
    """Give each joint a position actuator of the same name, in the order of the description, and its limits."""
    for joint in robot.joints:
        known = spec.joint(joint.name)
        armature, stiffness, damping = gains_of(joint, robot.gains, float(known.armature))
        known.armature = armature
        if joint.range is not None:
            # a description is in degrees until it is compiled, unless its file says otherwise
            known.range = [math.degrees(angle) if spec.compiler.degree else angle for angle in joint.range]
            known.limited = mujoco.mjtLimited.mjLIMITED_TRUE
        actuator = spec.add_actuator(name=joint.name, target=joint.name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
        actuator.dyntype = mujoco.mjtDyn.mjDYN_NONE
        actuator.gaintype, actuator.biastype = mujoco.mjtGain.mjGAIN_FIXED, mujoco.mjtBias.mjBIAS_AFFINE
        # torque = stiffness (target - angle) - damping velocity, within the effort limit
        actuator.gainprm = [stiffness, *[0.0] * (len(actuator.gainprm) - 1)]
        actuator.biasprm = [0.0, -stiffness, -damping, *[0.0] * (len(actuator.biasprm) - 3)]
        actuator.gear = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
        actuator.ctrllimited = mujoco.mjtLimited.mjLIMITED_FALSE
        actuator.forcelimited = mujoco.mjtLimited.mjLIMITED_TRUE
        actuator.forcerange = -joint.effort, joint.effort


def set_solver(spec: mujoco.MjSpec) -> None:
    """Set time step, integrator and constraint solver of the task."""
    option = spec.option
    option.timestep = _TIMESTEP
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.solver = mujoco.mjtSolver.mjSOL_NEWTON
    option.cone = mujoco.mjtCone.mjCONE_PYRAMIDAL
    option.iterations, option.ls_iterations = 10, 20
    # a state that is not finite must stay visible, instead of being reset silently to the default pose
    option.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET


def _require_names(robot: RobotDescription, spec: mujoco.MjSpec) -> None:
    joints, bodies = ([part.name for part in parts] for parts in (spec.joints, spec.bodies))
    for kind, wanted, known in (
        ("joint", robot.joint_names, joints),
        (
            "body",
            [robot.root, *(frame.body for frame in robot.frames), *robot.soles],
            [*bodies, *(frame.name for frame in robot.frames)],
        ),
    ):
        missing = [name for name in wanted if name not in known]
        if missing:
            hint = did_you_mean(missing[0], known)
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise MtrackError(
                f"{robot.file}: the model {robot.model} has no {kind} '{missing[0]}'{more}. {hint}".rstrip()
            )


def _set_shapes(spec: mujoco.MjSpec, robot: RobotDescription, options: BuildOptions) -> None:
    """Let the robot's shapes collide with the floor, and with each other only if wanted; replace soles and meshes."""
    feet = robot.body_sets.get("feet", ())
    for body in spec.bodies[1:]:
        foot = _foot_of(body, feet)
        replaced = options.feet != "model" and foot in robot.soles
        for geom in list(body.geoms):
            if not (geom.contype or geom.conaffinity):
                continue
            # the floor has contype 1: shapes without a contype collide with it, but not with each other
            geom.contype, geom.conaffinity = int(options.self_collision), 1
            if replaced and geom.group < _DRAWN_GROUPS:
                geom.contype = geom.conaffinity = 0
            elif replaced:
                spec.delete(geom)
            elif geom.type == _MESH and options.meshes == "capsules" and not foot:
                _fit_capsule(body, geom)
    if options.feet != "model":
        for foot, sole in robot.soles.items():
            _add_sole(spec.body(foot), sole, options)


def _foot_of(body: mujoco.MjsBody, feet: Sequence[str]) -> str:
    """Return the foot to which a body is fixed; empty if it is not part of a foot."""
    while body is not None and body.name not in feet:
        if body.joints or not body.parent:
            return ""
        body = body.parent
    return str(body.name) if body is not None else ""


def _fit_capsule(body: mujoco.MjsBody, geom: mujoco.MjsGeom) -> None:
    """Replace a colliding mesh by the capsule that MuJoCo fits to it, which is faster; a drawn mesh stays drawn."""
    if geom.group < _DRAWN_GROUPS:
        fitted = body.add_geom(name=f"{geom.name or body.name}_collision", type=_CAPSULE, meshname=geom.meshname)
        fitted.pos, fitted.quat, fitted.group, fitted.condim = geom.pos, geom.quat, ROBOT_GROUP, geom.condim
        fitted.contype, fitted.conaffinity, fitted.friction = geom.contype, geom.conaffinity, geom.friction
        geom.contype = geom.conaffinity = 0
    else:
        geom.type = _CAPSULE


def _add_sole(body: mujoco.MjsBody, sole: Sole, options: BuildOptions) -> None:
    if options.feet == "box":
        shape = _add_collider(body, f"{body.name}_sole", sole.friction, options)
        shape.type = _BOX
        shape.pos, shape.size = (sole.box_pos, sole.box_half_size) if sole.box_pos else _box(sole)
        return
    for number, centre in enumerate(sole.points):
        shape = _add_collider(body, f"{body.name}_sole{number}", sole.friction, options)
        shape.type, shape.pos, shape.size[0] = _SPHERE, centre, sole.radius


def _add_collider(body: mujoco.MjsBody, name: str, friction: float, options: BuildOptions) -> mujoco.MjsGeom:
    geom = body.add_geom(name=name, group=ROBOT_GROUP, contype=int(options.self_collision), conaffinity=1)
    geom.condim, geom.friction[0], geom.priority = 3, friction, 1
    geom.rgba = (0.7, 0.3, 0.2, 0.5)
    return geom


def _box(sole: Sole) -> tuple[list[float], list[float]]:
    """Return centre and half sizes of the box around the spheres of a sole, a little higher than them."""
    low = [min(point[axis] for point in sole.points) - sole.radius for axis in range(3)]
    high = [max(point[axis] for point in sole.points) + sole.radius for axis in range(3)]
    high[2] = low[2] + _BOX_HEIGHT
    return [(a + b) / 2 for a, b in zip(low, high, strict=True)], [(b - a) / 2 for a, b in zip(low, high, strict=True)]
