"""Builds the robot's MuJoCo description from its constants: bodies, collision shapes, feet, motors, solver."""

from __future__ import annotations

import math
from collections.abc import Mapping

import mujoco

from mtrack_g1.constants import BodyConstants, Motor, RobotConstants, Shape

FEET = ("left_ankle_roll_link", "right_ankle_roll_link")

_ROBOT_GROUP = 3  # collision shapes: not drawn by default
_TIMESTEP = 0.005  # s; a larger step is unstable for stiff foot contact
_FOOT_FRICTION = 0.6
_SPHERE_RADIUS = 0.005
_SPHERE_CENTRES = ((0.12, 0.027, -0.03), (0.12, -0.027, -0.03), (-0.05, 0.022, -0.03), (-0.05, -0.022, -0.03))
_BOX_CENTRE, _BOX_HALF_SIZE = (0.035, 0.0, -0.025), (0.09, 0.03, 0.01)


def robot_spec(constants: RobotConstants, feet: str, self_collision: bool) -> mujoco.MjSpec:
    """Return a new description of the robot alone, without floor and visual shapes."""
    spec = mujoco.MjSpec()
    spec.modelname = "g1"
    spec.compiler.autolimits = True
    bodies = {"world": spec.worldbody}
    for link in constants.links:
        bodies[link.name] = _add_link(bodies[link.parent], link)
        if feet == "capsules" or link.name not in FEET:
            _add_shapes(bodies[link.name], link.collision, self_collision)
        else:
            _add_sole(bodies[link.name], feet, self_collision)
    for foot in FEET:
        for geom in bodies[foot].geoms:
            geom.condim, geom.friction[0], geom.priority = 3, _FOOT_FRICTION, 1
    if self_collision:
        for first, second in constants.contact_exclusions:
            spec.add_exclude(bodyname1=first, bodyname2=second)
    return spec


def add_motors(spec: mujoco.MjSpec, motors: Mapping[str, Motor]) -> None:
    """Give each joint a position actuator of the same name, in the order of `motors`, and its rotor's inertia."""
    for name, motor in motors.items():
        spec.joint(name).armature = motor.armature
        actuator = spec.add_actuator(name=name, target=name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
        actuator.gaintype, actuator.biastype = mujoco.mjtGain.mjGAIN_FIXED, mujoco.mjtBias.mjBIAS_AFFINE
        # torque = stiffness (target - angle) - damping velocity, within the effort limit
        actuator.gainprm[0] = motor.stiffness
        actuator.biasprm[1:3] = -motor.stiffness, -motor.damping
        actuator.forcerange = -motor.effort, motor.effort


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


def _add_link(parent: mujoco.MjsBody, link: BodyConstants) -> mujoco.MjsBody:
    body = parent.add_body(name=link.name, pos=link.pos, quat=link.quat_wxyz)
    if link.inertia:
        body.explicitinertial = True
        body.mass, body.ipos = link.mass, link.com
        if len(link.inertia) == 3:
            body.inertia, body.iquat = link.inertia, link.inertia_quat_wxyz
        else:
            body.fullinertia = link.inertia
    if link.joint:
        limits = [math.degrees(angle) for angle in link.range]  # a description is in degrees until it is compiled
        body.add_joint(name=link.joint, type=mujoco.mjtJoint.mjJNT_HINGE, axis=link.axis, range=limits)
    elif link.parent == "world":
        body.add_freejoint(name="floating_base_joint")
    for name, pos in link.sites.items():
        body.add_site(name=name, pos=pos, group=5)
    return body


def _add_shapes(body: mujoco.MjsBody, shapes: tuple[Shape, ...], self_collision: bool) -> None:
    for shape in shapes:
        geom = _add_collider(body, shape.name, self_collision)
        geom.size[0] = shape.radius
        if len(shape.points) == 3:
            geom.type, geom.pos = mujoco.mjtGeom.mjGEOM_SPHERE, shape.points
        else:
            geom.type, geom.fromto = mujoco.mjtGeom.mjGEOM_CAPSULE, shape.points


def _add_sole(body: mujoco.MjsBody, feet: str, self_collision: bool) -> None:
    side = body.name.split("_")[0]
    if feet == "box":
        geom = _add_collider(body, f"{side}_sole", self_collision)
        geom.type, geom.pos, geom.size = mujoco.mjtGeom.mjGEOM_BOX, _BOX_CENTRE, _BOX_HALF_SIZE
        return
    for number, centre in enumerate(_SPHERE_CENTRES):
        geom = _add_collider(body, f"{side}_sole{number}", self_collision)
        geom.type, geom.pos, geom.size[0] = mujoco.mjtGeom.mjGEOM_SPHERE, centre, _SPHERE_RADIUS


def _add_collider(body: mujoco.MjsBody, name: str, self_collision: bool) -> mujoco.MjsGeom:
    # the floor has contype 1: shapes without a contype collide with it, but not with each other
    geom = body.add_geom(name=name, group=_ROBOT_GROUP, condim=1, conaffinity=1, contype=int(self_collision))
    geom.rgba = (0.7, 0.3, 0.2, 0.5)
    return geom
