"""Checks of a robot's numbers: files, masses, motors and limits, standing pose."""

from __future__ import annotations

import math
from collections.abc import Iterator

import mujoco

from mtrack.recipe.keypath import dotted
from mtrack_robot.description import Joint, RobotDescription
from mtrack_robot.finding import Finding
from mtrack_robot.model_file import ModelFile
from mtrack_robot.motors import ASSUMED_VELOCITY, assumed_efforts
from mtrack_robot.parts import find_parts
from mtrack_robot.posing import Posing
from mtrack_robot.sides import find_sides
from mtrack_robot.standing import LEVEL, StandingPose, judge, time_upright

_MASS = (3.0, 250.0)  # kg, of a humanoid
_LARGEST_SHARE = 0.6  # of the whole mass, in one body
_UNEQUAL = 0.02  # share by which the masses of left and right may differ
_ARMATURE = (1e-4, 0.2)  # kg m^2
_EFFORT = (0.1, 1500.0)  # N m
_VELOCITY = (0.5, 100.0)  # rad/s
_FULL_ERROR = (0.02, 12.0)  # rad at which a motor reaches its effort limit
_PHYSICS_STEP = 0.005  # s
_OFF = 0.005  # m between sole and floor in the standing pose
_SOON, _LONG = 0.3, 2.0  # s


def files(robot: RobotDescription, file: ModelFile) -> Iterator[Finding]:
    """Check that meshes exist, and that the root is free."""
    if file.missing_files:
        shown = ", ".join(file.missing_files[:3]) + (" ..." if len(file.missing_files) > 3 else "")
        yield Finding(
            "note",
            "model",
            f"{len(file.missing_files)} mesh files are missing or not STL, OBJ or MSH, and left out: {shown}",
            "put them where the model file names them; without them pictures are incomplete and links do not collide",
        )
    if not file.had_free_joint:
        yield Finding("note", "root", f"'{file.root}' has no free joint in the model", "nothing to do: mtrack adds one")
    if robot.imu_site:
        sites = {str(site.name): str(site.parent.name) for site in file.spec.sites}
        if robot.imu_site not in sites:
            yield Finding(
                "problem", "imu_site", f"the model has no site '{robot.imu_site}'", f"sites: {', '.join(sites)}"
            )
        elif sites[robot.imu_site] != robot.root:
            yield Finding(
                "note",
                "imu_site",
                f"it is on '{sites[robot.imu_site]}', but orientation and angular velocity are those of '{robot.root}'",
                "on the robot, convert them with the joints between both",
            )


def masses(robot: RobotDescription, posing: Posing) -> Iterator[Finding]:
    """Check the total mass, and those of single bodies and of both sides."""
    model = posing.model
    total = float(model.body_subtreemass[posing.root])
    if not _MASS[0] <= total <= _MASS[1]:
        heaviest = posing.name(max(posing.bodies, key=lambda body: float(model.body_mass[body])))
        yield Finding(
            "problem",
            "model",
            f"the robot weighs {total:.4g} kg, most of it in '{heaviest}'; usual are {_MASS[0]:g} to {_MASS[1]:g} kg",
            "check units and inertias in the model",
        )
    else:
        yield Finding("ok", "model", f"the robot weighs {total:.1f} kg")
    for body in posing.bodies:
        share = float(model.body_mass[body]) / total
        if share > _LARGEST_SHARE:
            what = f"'{posing.name(body)}' has {100 * share:.0f} % of the mass"
            yield Finding("note", "model", what, "check its inertia in the model")
    for left, right in robot.mirrored_bodies.items():
        if left in _bodies(posing) and right in _bodies(posing):
            one, other = (float(model.body_mass[model.body(name).id]) for name in (left, right))
            if abs(one - other) > _UNEQUAL * max(one, other):
                what = f"'{left}' weighs {one:.3g} kg, but '{right}' {other:.3g} kg"
                yield Finding("note", f"mirrored_bodies.{dotted((left,))}", what, "check both in the model")


def motors(robot: RobotDescription, built: mujoco.MjModel) -> Iterator[Finding]:
    """Check limits, gains and default angles of every joint."""
    count = 0
    for joint in robot.joints:
        for status, message, remedy in _motor(joint, built):
            count += 1
            yield Finding(status, f"joints.{dotted((joint.name,))}", message, remedy)  # type: ignore[arg-type]
    if not count:
        yield Finding("ok", "joints", "limits and gains are plausible")


def values(robot: RobotDescription) -> Iterator[Finding]:
    """Check the values of every joint that need no model."""
    for joint in robot.joints:
        for status, message, remedy in _values(joint):
            yield Finding(status, f"joints.{dotted((joint.name,))}", message, remedy)  # type: ignore[arg-type]


def _values(joint: Joint) -> Iterator[tuple[str, str, str]]:
    for what, unit, (least, most) in (("effort", "N m", _EFFORT), ("velocity", "rad/s", _VELOCITY)):
        value = getattr(joint, what)
        if not value > 0:
            yield "problem", f"its {what} is {value:g} {unit}", "it must be greater than 0"
        elif not least <= value <= most:
            yield "note", f"its {what} is {value:g} {unit}; usual are {least:g} to {most:g}", "check the unit"
    for what, unit in (("stiffness", "N m/rad"), ("damping", "N m s/rad"), ("armature", "kg m^2")):
        value = getattr(joint, what)
        if value is not None and not value > 0:
            yield "problem", f"its {what} is {value:g} {unit}", "it must be greater than 0; leave it out for the rule's"
    if joint.range is not None and not joint.range[0] < joint.range[1]:
        low, high = joint.range
        yield "problem", f"its range is reversed: {low:g} to {high:g} rad", f"range = [{high:g}, {low:g}]"


def assumptions(robot: RobotDescription, file: ModelFile, posing: Posing) -> Iterator[Finding]:
    """Name the limits that mtrack has assumed because the model has none."""
    guesses = assumed_efforts(posing, find_parts(posing, find_sides(posing)))
    efforts = [
        joint.name
        for joint in robot.joints
        if file.actuation[joint.name].effort is None and joint.effort == guesses[joint.name]
    ]
    speeds = [
        joint.name
        for joint in robot.joints
        if file.actuation[joint.name].velocity is None and joint.velocity == ASSUMED_VELOCITY
    ]
    for what, names, value in (
        ("effort", efforts, "one in proportion to weight and lengths"),
        ("velocity", speeds, f"{ASSUMED_VELOCITY:g} rad/s"),
    ):
        if names:
            message = (
                f"the model has no {what} limit for {len(names)} of {len(robot.joints)} joints: mtrack assumes {value}"
            )
            yield Finding("note", "joints", message, "take the limits from the motors' data sheets")


def _motor(joint: Joint, built: mujoco.MjModel) -> Iterator[tuple[str, str, str]]:
    known = built.joint(joint.name)
    low, high = (float(value) for value in known.range)
    gain = float(built.actuator(joint.name).gainprm[0])
    armature = float(built.dof_armature[known.dofadr[0]])
    if not built.jnt_limited[known.id]:
        yield "note", "it has no range", "range = [low, high] in rad"
    elif not low <= joint.default <= high:
        yield (
            "problem",
            f"its default {joint.default:g} rad is outside its range {low:.3g} to {high:.3g}",
            "correct one",
        )
    if not _ARMATURE[0] <= armature <= _ARMATURE[1]:
        what = f"its armature is {armature:.3g} kg m^2; usual are {_ARMATURE[0]:g} to {_ARMATURE[1]:g}"
        yield "note", what, "rotor inertia times the square of the gear ratio"
    if math.sqrt(gain / armature) * _PHYSICS_STEP > 1.0:
        what = f"stiffness {gain:.3g} N m/rad with armature {armature:.3g} kg m^2 is too fast for a step of 5 ms"
        yield "note", what, "lower the stiffness, or raise the armature"
    error = joint.effort / gain
    if not _FULL_ERROR[0] <= error <= _FULL_ERROR[1]:
        yield "note", f"it reaches its effort limit at an error of {error:.2g} rad", "check effort and stiffness"


def standing(robot: RobotDescription, built: mujoco.MjModel) -> Iterator[Finding]:
    """Check the standing pose: soles on the floor and level, weight over them, and how long the motors hold it."""
    posing = Posing(built, robot.root)
    angles = posing.angles({joint.name: joint.default for joint in robot.joints})
    feet = [int(built.body(name).id) for name in robot.body_sets.get("feet", ())]
    pose = judge(posing, feet, angles, "")
    gap = robot.root_height - pose.root_height
    if abs(gap) > _OFF:
        where = "above" if gap > 0 else "below"
        what = f"in the standing pose the soles are {1000 * abs(gap):.0f} mm {where} the floor"
        yield Finding("problem", "root_height", what, f"root_height = {pose.root_height:g}")
    if pose.tilt > LEVEL:
        what = f"in the standing pose a sole is tilted by {math.degrees(pose.tilt):.0f} degrees"
        yield Finding("problem", "joints", what, "change the default angles of the legs")
    if pose.margin < -_OFF:
        what = f"in the standing pose the centre of mass is {-1000 * pose.margin:.0f} mm outside the soles"
        yield Finding("problem", "joints", what, "change the default angles of the legs")
    seconds = time_upright(built, posing, StandingPose(angles, robot.root_height, 0.0, 0.0, ""), _LONG)
    held = f"the motors alone hold the standing pose for {seconds:.1f} s"
    if seconds < _SOON:
        yield Finding("problem", "gains", held, "the gains are too weak, or unstable: check the joints above")
    else:
        yield Finding("ok", "gains", f"{held}{' or more' if seconds >= _LONG else ''}; a policy balances it")


def _bodies(posing: Posing) -> set[str]:
    return {posing.name(body) for body in posing.bodies}
