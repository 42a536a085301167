"""The importers `beyondmimic_npz` and `holosoma_npz`: joints, and the poses of bodies in world axes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from mtrack.exchange import Clip
from mtrack.fields import component, param
from mtrack.protocols import Robot
from mtrack_formats.fields import Fields
from mtrack_formats.recording import Bodies, Options, Recording
from mtrack_formats.settle import settle
from mtrack_motion.archive import member_shapes, read_archive

_POSES = ("joint_pos", "body_pos_w", "body_quat_w")
_READ = (*_POSES, "joint_vel", "fps", "joint_names", "body_names")
_ORDER = "w, x, y, z"
_ROOT_POS, _ROOT_VEL = 7, 6  # columns of the root before the joints, where a file has the whole state


@component
class BeyondMimicNpz:
    """BeyondMimic and mjlab: joints and body poses in world axes, without names; the orders that fit are found."""

    fps: float | None = param(default=None)
    """Frame rate to use instead of the one in the file [1/s]."""
    fill_missing: bool = param(default=False)
    """Whether joints the file lacks are held at their default."""
    trust: bool = param(default=False)
    """Whether to take velocities of another frame rate for wrong."""

    def recognises(self, path: Path) -> str:
        """Return what was found, in words, or an empty string if it is of another format. Raises MotionError."""
        shapes = member_shapes(path)
        return _found("BeyondMimic or mjlab npz", shapes) if "body_names" not in shapes else ""

    def clips(self, path: Path, robot: Robot) -> Iterator[Clip]:
        """Yield the one clip of a file. Raises MotionError naming file, field and remedy."""
        recording = _recording(Fields(read_archive(path, _READ), str(path)), path, bodies=None, root=0)
        yield settle(recording, robot, Options(self.fps, self.fill_missing, self.trust))


@component
class HolosomaNpz:
    """holosoma: joints, or root and joints, and body poses in world axes; joints and bodies are named."""

    fps: float | None = param(default=None)
    """Frame rate to use instead of the one in the file [1/s]."""
    fill_missing: bool = param(default=False)
    """Whether joints the file lacks are held at their default."""
    trust: bool = param(default=False)
    """Whether to take velocities of another frame rate for wrong."""

    def recognises(self, path: Path) -> str:
        """Return what was found, in words, or an empty string if it is of another format. Raises MotionError."""
        shapes = member_shapes(path)
        return _found("holosoma npz", shapes) if "body_names" in shapes else ""

    def clips(self, path: Path, robot: Robot) -> Iterator[Clip]:
        """Yield the one clip of a file. Raises MotionError naming file, field and remedy."""
        fields = Fields(read_archive(path, _READ), str(path))
        bodies, root = fields.names("body_names"), robot.model().body_names[0]
        if root not in bodies:
            raise fields.error("body_names", f"does not name the root '{root}'", "choose the --robot it is of")
        recording = _recording(fields, path, bodies, bodies.index(root))
        yield settle(recording, robot, Options(self.fps, self.fill_missing, self.trust))


def _found(what: str, shapes: Mapping[str, tuple[int, ...]]) -> str:
    if not all(len(shapes.get(name, ())) > 1 for name in _POSES):
        return ""
    frames, joints = shapes["joint_pos"][:2]
    return f"{what}, {frames} frames, {joints} columns of joints, {shapes['body_pos_w'][1]} bodies"


def _recording(fields: Fields, path: Path, bodies: tuple[str, ...] | None, root: int) -> Recording:
    """Return what a file says; `root` is the body whose pose is the root's, unless that stands before the joints."""
    joints = fields.names("joint_names") if fields.has("joint_names") else None
    pos = fields.table("body_pos_w", len(bodies) if bodies else None, 3)
    quat = fields.table("body_quat_w", pos.shape[1], 4)
    if pos.shape[1] == 0:
        raise fields.error("body_pos_w", "holds no body")
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
        bodies=Bodies(pos=pos, quat=quat, quat_order=_ORDER, names=bodies, in_world=True, hold_root=not whole),
    )
