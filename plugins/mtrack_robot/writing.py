"""Writes robot.toml, with the reason of every derived value as a comment, and a recipe that trains the robot."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

from mtrack.recipe.keypath import dotted
from mtrack.recipe.write import inline
from mtrack_robot.description import Frame, Gains, Joint, RobotDescription, Sole

_WIDTH = 112
_HEAD = """\
# {name}: written by `mtrack new-robot`. Comments say where values come from; change what you know better, then:
#     mtrack doctor --robot {file}
# Units: m, kg, s, rad, N m. docs/robot.md explains every key.
"""
_JOINTS = """
# In the order of all joint axes. A joint that is left out is fixed. effort, velocity: limits; sign: of the angle in a
# mirrored pose. Also: range, armature, stiffness, damping (instead of the model's or the rule's), motor (its index).
[joints]"""
_BODY_SETS = """
# Names that recipes use. Left comes before right.
[body_sets]"""
_RECIPE = """\
# {name} tracks motions: the quick recipe with another robot. Train with: mtrack run {file}
extends = "g1_tracking_quick"

[robot]
use = "mjcf"
path = {robot}

# Your own motions instead of the built-in clips:
# [motions.builtin]
# enabled = false
# [motions.mine]
# use = "motion_files"
# path = "motions"
"""


def robot_toml(robot: RobotDescription, reasons: Mapping[str, str], file: Path) -> str:
    """Return the text of a robot.toml that will be written to `file`."""
    return "\n".join(_lines(robot, reasons, file)) + "\n"


def recipe_toml(robot: RobotDescription, recipe: Path, robot_file: Path) -> str:
    """Return the text of a recipe that will be written to `recipe` and uses a robot.toml."""
    path = inline(relative(robot_file, recipe.parent))
    return _RECIPE.format(name=robot.name, file=recipe.name, robot=path)


def relative(path: Path, folder: Path) -> str:
    """Return a path relative to a folder, or absolute if it is on another drive."""
    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:
        return path.resolve().as_posix()


def _lines(robot: RobotDescription, reasons: Mapping[str, str], file: Path) -> Iterator[str]:
    yield _HEAD.format(name=robot.name, file=file.name)
    yield f"name = {inline(robot.name)}"
    yield f"model = {inline(relative(robot.model, file.parent))}"
    yield f"root = {inline(robot.root)}"
    yield _commented(f"root_height = {robot.root_height!r}", reasons.get("root_height", ""))
    if robot.imu_site:
        yield f"imu_site = {inline(robot.imu_site)}"
    yield f"sensors = {inline(robot.sensors)}"
    yield from _list("bodies", robot.bodies)
    yield "\n[gains]"
    for name, value in _given(robot.gains, Gains()).items() or {"rule": robot.gains.rule}.items():
        yield _commented(f"{name} = {inline(value)}", reasons.get("gains", "") if name == "rule" else "")
    yield _JOINTS
    for joint in robot.joints:
        reason = reasons.get(f"joints.{joint.name}", "")
        yield _commented(f"{dotted((joint.name,))} = {inline(_joint(joint))}", reason)
    yield "\n[joint_sets]"
    for name, members in robot.joint_sets.items():
        yield from _list(name, members)
    yield _BODY_SETS
    for name, members in robot.body_sets.items():
        yield from _list(name, members)
    yield "\n# Left body = right body."
    yield "[mirrored_bodies]"
    for left, right in robot.mirrored_bodies.items():
        yield f"{dotted((left,))} = {inline(right)}"
    yield from _frames(robot.frames)
    yield from _soles(robot.soles, reasons.get("soles", ""))
    for name, pose in robot.poses.items():
        yield f"\n[poses.{dotted((name,))}]"
        yield from (f"{dotted((joint,))} = {angle!r}" for joint, angle in pose.items())


def _joint(joint: Joint) -> dict[str, object]:
    shown: dict[str, object] = {"default": joint.default, "effort": joint.effort, "velocity": joint.velocity}
    for name in ("range", "armature", "stiffness", "damping", "motor"):
        if (value := getattr(joint, name)) is not None:
            shown[name] = value
    return shown | ({"mirror": joint.mirror} if joint.mirror else {}) | {"sign": joint.sign}


def _frames(frames: tuple[Frame, ...]) -> Iterator[str]:
    if frames:
        yield "\n# Massless bodies that are added to the model."
        yield "[frames]"
    for frame in frames:
        shown = {"body": frame.body, "pos": frame.pos}
        turn = {} if frame.quat_wxyz == (1.0, 0.0, 0.0, 0.0) else {"quat_wxyz": frame.quat_wxyz}
        yield f"{dotted((frame.name,))} = {inline(shown | turn)}"


def _soles(soles: Mapping[str, Sole], reason: str) -> Iterator[str]:
    yield f"\n# Contact spheres in the frame of the foot: {reason}." if reason else ""
    if not soles:
        yield "# [soles]"
    for foot, sole in soles.items():
        yield f"[soles.{dotted((foot,))}]"
        for name, value in _given(sole, Sole()).items():
            yield f"{name} = {inline(value)}"


def _given(part: attrs.AttrsInstance, default: attrs.AttrsInstance) -> dict[str, object]:
    """Return the fields that differ from their defaults."""
    values = attrs.asdict(part, recurse=False)
    return {name: value for name, value in values.items() if value != getattr(default, name)}


def _list(name: str, members: tuple[str, ...]) -> Iterator[str]:
    line = f"{dotted((name,))} = {inline(members)}"
    if len(line) <= _WIDTH:
        yield line
        return
    yield f"{dotted((name,))} = ["
    row = "   "
    for member in members:
        text = f" {inline(member)},"
        if len(row) + len(text) > _WIDTH:
            yield row
            row = "   "
        row += text
    yield row
    yield "]"


def _commented(line: str, reason: str) -> str:
    return f"{line}   # {reason}" if reason else line
