"""The importers `beyondmimic_npz` and `holosoma_npz`: joints, and the poses of bodies in world axes."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs
import numpy as np

from mtrack import Clip, MotionError, Robot, component, param
from mtrack_formats.fields import Fields
from mtrack_formats.recording import POSSIBLE_FPS, QUATERNION_ORDERS, Bodies, FloatArray, ImportOptions, Recording
from mtrack_formats.resolve import resolve
from mtrack_motion.npz import member_shapes, read_npz

log = logging.getLogger(__name__)

_POSES = ("joint_pos", "body_pos_w", "body_quat_w")
_READ = (*_POSES, "joint_vel", "fps", "joint_names", "body_names")
_ORDER = "w, x, y, z"
_AT_ORIGIN = 1e-6  # m, and of a quaternion's w
_ROOT_POS, _ROOT_VEL = 7, 6  # columns of the root before the joints, if a file has the whole state


@component
class BeyondMimicNpz:
    """BeyondMimic, mjlab and UniLab: joints and body poses in world axes, without names; finds the orders that match.

    The world body that UniLab writes first is ignored.
    """

    fps: float | None = param(default=None, validator=POSSIBLE_FPS)
    """Frame rate to use instead of the one in the file [1/s]."""
    fill_missing: bool = param(default=False)
    """Keep joints that the file lacks at their default."""
    trust: bool = param(default=False)
    """Import the file even if its velocities do not match its frame rate."""

    def recognises(self, path: Path) -> str:
        """Return a description of what was found; empty if the file has another format. Raises MotionError."""
        shapes = member_shapes(path)
        return _found("BeyondMimic or mjlab npz", shapes) if "body_names" not in shapes else ""

    def clips(self, path: Path, robot: Robot) -> Iterator[Clip]:
        """Yield the one clip of a file. Raises MotionError that names file, field and remedy."""
        recording = _without_world(_recording(Fields(read_npz(path, _READ), str(path)), path, bodies=None, root=0))
        yield resolve(recording, robot, ImportOptions(self.fps, self.fill_missing, self.trust))


@component
class HolosomaNpz:
    """holosoma: named joints (optionally after the root's columns) and poses of named bodies in world axes."""

    fps: float | None = param(default=None, validator=POSSIBLE_FPS)
    """Frame rate to use instead of the one in the file [1/s]."""
    fill_missing: bool = param(default=False)
    """Keep joints that the file lacks at their default."""
    trust: bool = param(default=False)
    """Import the file even if its velocities do not match its frame rate."""

    def recognises(self, path: Path) -> str:
        """Return a description of what was found; empty if the file has another format. Raises MotionError."""
        shapes = member_shapes(path)
        return _found("holosoma npz", shapes) if "body_names" in shapes else ""

    def clips(self, path: Path, robot: Robot) -> Iterator[Clip]:
        """Yield the one clip of a file. Raises MotionError that names file, field and remedy."""
        fields = Fields(read_npz(path, _READ), str(path))
        bodies, root = fields.names("body_names"), robot.model().body_names[0]
        if root not in bodies:
            raise fields.error("body_names", f"does not contain the root '{root}'", "choose the right --robot")
        recording = _recording(fields, path, bodies, bodies.index(root))
        yield resolve(recording, robot, ImportOptions(self.fps, self.fill_missing, self.trust))


def _found(what: str, shapes: Mapping[str, tuple[int, ...]]) -> str:
    if not all(len(shapes.get(name, ())) > 1 for name in _POSES):
        return ""
    frames, joints = shapes["joint_pos"][:2]
    return f"{what}, {frames} frames, {joints} columns of joints, {shapes['body_pos_w'][1]} bodies"


def _recording(fields: Fields, path: Path, bodies: tuple[str, ...] | None, root: int) -> Recording:
    """Return the recording of a file; body `root` is the root, unless the root's pose precedes the joints."""
    joints = fields.names("joint_names") if fields.has("joint_names") else None
    pos = fields.table("body_pos_w", len(bodies) if bodies else None, 3)
    quat = fields.table("body_quat_w", pos.shape[1], 4)
    if pos.shape[1] == 0:
        raise fields.error("body_pos_w", "contains no body")
    joint_pos = fields.table("joint_pos", (len(joints), _ROOT_POS + len(joints)) if joints else None)
    count = len(joints) if joints else joint_pos.shape[1]
    whole = joint_pos.shape[1] > count
    joint_vel = fields.table("joint_vel", (count, _ROOT_VEL + count)) if fields.has("joint_vel") else None
    return Recording(
        name=path.stem,
        place=str(path),
        source=path.name,
        fps=fields.number("fps"),
        root_pos=joint_pos[:, :3] if whole else pos[:, root],
        root_quat=joint_pos[:, 3:_ROOT_POS] if whole else quat[:, root],
        quat_order=_ORDER,
        joint_pos=joint_pos[:, -count:],
        joint_vel=None if joint_vel is None else joint_vel[:, -count:],
        joint_names=joints,
        bodies=Bodies(
            pos=pos,
            quat=quat,
            quat_order=_ORDER,
            names=bodies,
            in_world=True,
            lin_vel=_velocities(path, "body_lin_vel_w"),
            ang_vel=_velocities(path, "body_ang_vel_w"),
            includes_root=not whole,
        ),
    )


def _velocities(path: Path, name: str) -> FloatArray | None:
    """Return velocities of bodies; None if missing or unreadable, because they are only compared."""
    try:
        value = read_npz(path, (name,)).get(name)
    except MotionError:
        return None
    return None if value is None or value.dtype.kind not in "iuf" else np.asarray(value, np.float64)


def _without_world(recording: Recording) -> Recording:
    """Remove the first of unnamed bodies if it is the world, i.e. at rest at the origin.

    Exporters that copy all bodies of MuJoCo, such as UniLab's, write the world too.
    """
    bodies = recording.bodies
    assert bodies is not None
    assert bodies.quat is not None
    if bodies.pos.shape[1] < 2 or np.abs(bodies.pos[:, 0]).max(initial=0.0) > _AT_ORIGIN:
        return recording
    turned = (np.abs(bodies.quat[:, 0, order[0]] - 1.0) for order in QUATERNION_ORDERS.values())
    if not any(off.max(initial=0.0) < _AT_ORIGIN for off in turned):
        return recording
    log.warning("ignored body 0: it rests at the origin, so it is the world, not a link of the robot")
    rest = attrs.evolve(
        bodies,
        pos=bodies.pos[:, 1:],
        quat=bodies.quat[:, 1:],
        lin_vel=_without_first(bodies.lin_vel),
        ang_vel=_without_first(bodies.ang_vel),
    )
    return attrs.evolve(recording, root_pos=rest.pos[:, 0], root_quat=bodies.quat[:, 1], bodies=rest)


def _without_first(values: FloatArray | None) -> FloatArray | None:
    return values[:, 1:] if values is not None and values.ndim == 3 else values
