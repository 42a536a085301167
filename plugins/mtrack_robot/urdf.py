"""Prepares a URDF for MuJoCo: a free root, mesh files that exist, and the limits that MuJoCo does not read."""

from __future__ import annotations

import math
from pathlib import Path
from xml.etree import ElementTree  # a robot's model file is trusted like code

import attrs

from mtrack import MtrackError

_WORLD, _FREE = "world", "floating_base_joint"  # MuJoCo merges a link of this name with its world
_READABLE = (".stl", ".obj", ".msh")
_COMPILER = {
    "strippath": "false",
    "discardvisual": "false",
    "fusestatic": "false",
    "balanceinertia": "true",
    "autolimits": "true",
}


@attrs.frozen
class PreparedUrdf:
    """A URDF that MuJoCo can read, and what it does not read."""

    text: str
    velocity: dict[str, float]
    """Speed limit of each joint that has one [rad/s]."""
    missing_meshes: tuple[str, ...]
    """Mesh files, as written, that do not exist or that MuJoCo cannot read; their shapes are left out."""


def prepare_urdf(path: Path) -> PreparedUrdf:
    """Return a URDF with a free joint at its root and with absolute mesh paths. Raises MtrackError."""
    try:
        robot = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, OSError) as error:
        raise MtrackError(f"cannot read the robot {path}: {error}") from error
    if robot.tag != "robot":
        raise MtrackError(f"cannot read the robot {path}: a URDF starts with <robot>, not <{robot.tag}>")
    missing = _resolve_meshes(robot, path.resolve().parent)
    _free_root(robot, path)
    for extension in robot.findall("mujoco"):
        robot.remove(extension)  # its paths and compiler flags are replaced
    ElementTree.SubElement(ElementTree.SubElement(robot, "mujoco"), "compiler", _COMPILER)
    return PreparedUrdf(ElementTree.tostring(robot, encoding="unicode"), _velocities(robot), missing)


def find_mesh(written: str, folder: Path) -> Path | None:
    """Return the file of a mesh path in a URDF, which may start with package:// or file://; None if it is missing."""
    name = written.removeprefix("file://")
    if name.startswith("package://"):
        package, _, inside = name.removeprefix("package://").partition("/")
        # the package is the folder of that name above the file or beside a folder above it, or has been renamed
        folders = [base / part for part in (package, ".") for base in (folder, *folder.parents)]
        return next((base / inside for base in folders if (base / inside).is_file()), None)
    candidate = folder / name
    return candidate if candidate.is_file() else None


def _resolve_meshes(robot: ElementTree.Element, folder: Path) -> tuple[str, ...]:
    missing: dict[str, None] = {}
    for link in robot.iter("link"):
        for shape in [*link.findall("visual"), *link.findall("collision")]:
            mesh = shape.find("geometry/mesh")
            if mesh is None:
                continue
            written = mesh.get("filename", "")
            found = find_mesh(written, folder)
            if found is None or found.suffix.lower() not in _READABLE:
                missing[written] = None
                link.remove(shape)
            else:
                mesh.set("filename", str(found))
    return tuple(missing)


def _free_root(robot: ElementTree.Element, path: Path) -> None:
    """Put a free joint above the root link, unless the file has one."""
    joints = robot.findall("joint")
    children = {child.get("link") for joint in joints if (child := joint.find("child")) is not None}
    roots = [name for link in robot.findall("link") if (name := link.get("name")) not in children]
    if len(roots) != 1:
        raise MtrackError(
            f"the robot {path} has {len(roots)} links without a parent joint: {', '.join(map(str, roots))}"
        )
    if any(joint.get("type") == "floating" for joint in joints):
        return
    if roots == [_WORLD]:
        for joint in joints:
            parent = joint.find("parent")
            if parent is not None and parent.get("link") == _WORLD and joint.get("type") == "fixed":
                joint.set("type", "floating")
        return
    ElementTree.SubElement(robot, "link", name=_WORLD)
    joint = ElementTree.SubElement(robot, "joint", name=_FREE, type="floating")
    ElementTree.SubElement(joint, "parent", link=_WORLD)
    ElementTree.SubElement(joint, "child", link=str(roots[0]))


def _velocities(robot: ElementTree.Element) -> dict[str, float]:
    found = {}
    for joint in robot.findall("joint"):
        limit = joint.find("limit")
        speed = float(limit.get("velocity", "nan")) if limit is not None else math.nan
        if speed > 0:
            found[joint.get("name", "")] = speed
    return found
