"""The robot's constants, read from `g1.json`: links, motors, default pose; and how its two sides mirror."""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import attrs
import mujoco
import numpy as np

Vector = tuple[float, ...]


def _vector(values: Iterable[float]) -> Vector:
    return tuple(values)


_REFLECT = (1.0, -1.0, 1.0)  # of positions in the x-z plane
_REFLECT_QUAT = (1.0, -1.0, 1.0, -1.0)  # of orientations


@attrs.frozen
class Shape:
    """A colliding sphere (one point) or capsule (two points), m."""

    name: str
    radius: float
    points: Vector = attrs.field(converter=_vector)


@attrs.frozen
class BodyConstants:
    """One body: its frame in its parent, its inertia and its hinge."""

    name: str
    parent: str
    pos: Vector = attrs.field(converter=_vector)
    quat_wxyz: Vector = attrs.field(converter=_vector)
    mass: float = 0.0
    com: Vector = attrs.field(default=(0.0, 0.0, 0.0), converter=_vector)
    inertia: Vector = attrs.field(default=(), converter=_vector)
    """Three principal moments, or six entries xx, yy, zz, xy, xz, yz along the link's axes [kg m^2]."""
    inertia_quat_wxyz: Vector = attrs.field(default=(1.0, 0.0, 0.0, 0.0), converter=_vector)
    joint: str = ""
    axis: Vector = attrs.field(default=(0.0, 0.0, 1.0), converter=_vector)
    range: Vector = attrs.field(default=(0.0, 0.0), converter=_vector)
    collision: tuple[Shape, ...] = ()
    sites: Mapping[str, Vector] = attrs.field(factory=dict)


@attrs.frozen
class Motor:
    """A type of motor and the gains of its position controller."""

    armature: float
    effort: float
    velocity_limit: float
    stiffness: float
    damping: float


@attrs.frozen
class RobotConstants:
    """All constants of one robot."""

    links: tuple[BodyConstants, ...]
    motors: Mapping[str, Motor]
    """By joint."""
    default_pose: Mapping[str, float]
    """Joint angles by joint [rad]."""
    root_height: float
    """Height of the root at which the soles of the default pose touch the floor [m]."""
    contact_exclusions: tuple[tuple[str, str], ...]


@functools.cache
def load() -> RobotConstants:
    """Return the constants in the package's data file."""
    raw = json.loads(Path(__file__).with_name("g1.json").read_text("utf-8"))
    links = []
    for entry in raw["bodies"]:
        shapes = tuple(Shape(**shape) for shape in entry.pop("collision", ()))
        links.append(BodyConstants(**entry, collision=shapes))
    joints = [link.joint for link in links if link.joint]
    motors: dict[str, Motor] = {}
    for entry in raw["motors"]:
        motor = _motor(entry, raw["natural_frequency_hz"], raw["damping_ratio"])
        motors |= {joint: motor for joint in joints if _is_one_of(joint, entry["joints"])}
    pose = {joint: angle for name, angle in raw["default_pose"].items() for joint in joints if _is_one_of(joint, name)}
    return RobotConstants(
        links=tuple(links),
        motors={joint: motors[joint] for joint in joints},
        default_pose={joint: pose.get(joint, 0.0) for joint in joints},
        root_height=raw["root_height"],
        contact_exclusions=tuple((a, b) for a, b in raw["contact_exclusions"]),
    )


def symmetric(constants: RobotConstants) -> RobotConstants:
    """Return the constants of an exactly symmetric robot: the right side becomes the mirror image of the left."""
    by_name = {link.name: link for link in constants.links}
    links = []
    for link in constants.links:
        if link.name.startswith("right_"):
            links.append(_mirrored(by_name[mirrored_name(link.name)]))
        else:
            links.append(link if link.name.startswith("left_") else _centred(link))
    return attrs.evolve(constants, links=tuple(links))


def mirrored_name(name: str) -> str:
    """Return the name of the same part on the other side, or the name itself if it has no side."""
    if name.startswith("left_"):
        return "right_" + name.removeprefix("left_")
    return "left_" + name.removeprefix("right_") if name.startswith("right_") else name


def mirror_sign(joint: str) -> float:
    """Return the sign of a joint's angle when the robot is mirrored: roll and yaw turn the other way."""
    return -1.0 if re.search(r"_(roll|yaw)_joint$", joint) else 1.0


def reflect(points: Vector) -> Vector:
    """Return flattened points reflected in the x-z plane."""
    return tuple(value * sign for value, sign in zip(points, _REFLECT * (len(points) // 3), strict=True))


def _motor(entry: Mapping[str, float], frequency_hz: float, damping_ratio: float) -> Motor:
    # gains of a second-order system whose only inertia is the rotor
    omega = 2.0 * math.pi * frequency_hz
    armature = entry["armature"]
    return Motor(
        armature=armature,
        effort=entry["effort"],
        velocity_limit=entry["velocity_limit"],
        stiffness=armature * omega**2,
        damping=2.0 * damping_ratio * armature * omega,
    )


def _is_one_of(joint: str, pattern: str) -> bool:
    return re.fullmatch(rf"(left_|right_)?{pattern}_joint", joint) is not None


def _mirrored(link: BodyConstants) -> BodyConstants:
    low, high = link.range
    return attrs.evolve(
        link,
        name=mirrored_name(link.name),
        parent=mirrored_name(link.parent),
        pos=reflect(link.pos),
        quat_wxyz=_reflect_quat(link.quat_wxyz),
        com=reflect(link.com),
        inertia_quat_wxyz=_reflect_quat(link.inertia_quat_wxyz),
        joint=mirrored_name(link.joint),
        range=(-high, -low) if mirror_sign(link.joint) < 0 else (low, high),
        collision=tuple(_mirrored_shape(shape) for shape in link.collision),
        sites={mirrored_name(name): reflect(pos) for name, pos in link.sites.items()},
    )


def _mirrored_shape(shape: Shape) -> Shape:
    return Shape(mirrored_name(shape.name), shape.radius, reflect(shape.points))


def _centred(link: BodyConstants) -> BodyConstants:
    if not link.inertia:
        return link
    rotation = np.zeros(9)
    mujoco.mju_quat2Mat(rotation, np.array(link.inertia_quat_wxyz))
    axes = rotation.reshape(3, 3)
    tensor = axes @ np.diag(link.inertia) @ axes.T
    # the mean of a tensor and its mirror image: the terms that couple y with x and z cancel
    full = (tensor[0, 0], tensor[1, 1], tensor[2, 2], 0.0, tensor[0, 2], 0.0)
    x, _, z = link.com
    return attrs.evolve(link, com=(x, 0.0, z), inertia=full)


def _reflect_quat(quat_wxyz: Vector) -> Vector:
    return tuple(value * sign for value, sign in zip(quat_wxyz, _REFLECT_QUAT, strict=True))
