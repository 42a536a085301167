"""Checks of a robot's names: joints, bodies, named sets, mirror pairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mtrack.errors import did_you_mean
from mtrack.recipe.keypath import dotted
from mtrack_robot.description import RobotDescription
from mtrack_robot.finding import Finding
from mtrack_robot.posing import Posing
from mtrack_robot.sides import mirror_problems, named_partners, pose_errors

REQUIRED_SETS = ("root", "feet", "keypoints", "lower_keypoints", "upper_keypoints", "height_checked", "torso", "toes")
"""Sets of bodies that the tracking recipes use."""
_OPTIONAL_SETS = ("head", "hands", "thighs", "shins", "upper_arms", "forearms", "pelvis", "chest")
"""Sets of bodies that built-in clips and retargeting use if the robot has them."""
_MISALIGNED = 0.02  # rad


def names(robot: RobotDescription, posing: Posing) -> Iterator[Finding]:
    """Check that every name exists in the model file, and that no set is missing."""
    joints, bodies = posing.joint_names, [posing.name(body) for body in posing.bodies]
    frames = [frame.name for frame in robot.frames]
    yield from _unknown("joints", robot.joint_names, joints, as_keys=True)
    yield from _unknown("root", (robot.root,), bodies)
    yield from _unknown("frames", [frame.body for frame in robot.frames], bodies)
    yield from _unknown("soles", tuple(robot.soles), bodies, as_keys=True)
    for name, members in robot.body_sets.items():
        yield from _unknown(f"body_sets.{dotted((name,))}", members, [*bodies, *frames])
    for name, members in robot.joint_sets.items():
        yield from _unknown(f"joint_sets.{dotted((name,))}", members, robot.joint_names)
    pairs = [name for pair in robot.mirrored_bodies.items() for name in pair]
    yield from _unknown("mirrored_bodies", pairs, [*bodies, *frames])
    yield from _unknown("joints", [joint.mirror for joint in robot.joints if joint.mirror], robot.joint_names)
    fixed = [name for name in joints if name not in robot.joint_names]
    if fixed:
        yield Finding("note", "joints", f"{', '.join(fixed)}: not listed, so fixed", "add a line to drive them")
    missing = [name for name in REQUIRED_SETS if not robot.body_sets.get(name)]
    for name in missing:
        yield Finding("problem", "body_sets", f"the set '{name}' is missing, which tracking needs", _remedy(name))
    absent = [name for name in _OPTIONAL_SETS if not robot.body_sets.get(name)]
    if absent:
        what = f"no set {', '.join(map(repr, absent))}: some built-in clips and retargeting need them"
        yield Finding("note", "body_sets", what, "add them if the robot has these parts")
    feet = robot.body_sets.get("feet", ())
    if feet and len(feet) != 2:
        yield Finding("problem", "body_sets.feet", f"has {len(feet)} bodies", "name the left foot, then the right one")


def mirror(robot: RobotDescription, posing: Posing) -> Iterator[Finding]:
    """Check mirror pairs and signs by the geometry of the model."""
    partner = {joint.name: joint.mirror for joint in robot.joints if joint.mirror}
    for name, other in partner.items():
        if partner.get(other) != name:
            back = partner.get(other, other)
            yield Finding(
                "problem",
                f"joints.{dotted((name,))}",
                f"its mirror is '{other}', but that of '{other}' is '{back}'",
                "make both name each other",
            )
            return
    for name in robot.joint_names:
        others = [other for other in named_partners(name, robot.joint_names) if name not in partner]
        if others:
            key = f"joints.{dotted((name,))}"
            yield Finding("problem", key, f"it has no mirror, but there is '{others[0]}'", f'mirror = "{others[0]}"')
    # joints that are not driven keep the model's angles, and mirror themselves
    signs = dict.fromkeys(posing.joint_names, 1.0) | {joint.name: joint.sign for joint in robot.joints}
    driven = set(robot.joint_names)
    bodies = {**robot.mirrored_bodies, **{right: left for left, right in robot.mirrored_bodies.items()}}
    known = {posing.name(body) for body in posing.bodies}
    bodies = {name: other for name, other in bodies.items() if name in known}
    found = [
        (name, why) for name, why in mirror_problems(posing, partner, signs, bodies) if name in driven or name in known
    ]
    for name, why in found:
        is_joint = name in driven
        key = f"joints.{dotted((name,))}" if is_joint else f"mirrored_bodies.{dotted((name,))}"
        remedy = "correct mirror and sign, or the model: names, axes and ranges of both sides"
        yield Finding("problem", key, why, remedy)
    if found:
        return
    yield Finding("ok", "mirrored_bodies", "mirrored poses give mirrored bodies to 1 mm")
    errors = pose_errors(posing, partner, signs, bodies)
    turned = [name for name in robot.body_sets.get("keypoints", ()) if name in errors and errors[name][1] > _MISALIGNED]
    if turned:
        what = f"the axes of {', '.join(turned)} are not mirror images: mirrored rotations of these bodies are wrong"
        yield Finding("note", "body_sets.keypoints", what, "add frames with mirrored axes and use them as keypoints")


def _unknown(key: str, wanted: Sequence[str], known: Sequence[str], *, as_keys: bool = False) -> Iterator[Finding]:
    for name in dict.fromkeys(wanted):
        if name not in known:
            hint = did_you_mean(name, known)
            place = f"{key}.{dotted((name,))}" if as_keys else key
            yield Finding("problem", place, f"there is no '{name}' in the model", hint or f"it has: {', '.join(known)}")


def _remedy(name: str) -> str:
    if name == "feet":
        return 'feet = ["left foot", "right foot"] with the bodies that touch the ground'
    return f"{name} = [...] with names of bodies or frames"
