"""The importers `gmr` and `gentlehumanoid_npz`: root pose and joints, and bodies in the root's frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtrack import Clip, MotionError, Robot, component, param
from mtrack_formats.contents import explain, incomplete_motions, is_pickle_or_json, motions_in, read_values
from mtrack_formats.fields import Fields
from mtrack_formats.recording import POSSIBLE_FPS, Bodies, ImportOptions, Recording
from mtrack_formats.resolve import resolve
from mtrack_motion.motion_errors import read_each
from mtrack_motion.npz import is_zip, member_shapes, read_npz

_POSES = ("root_pos", "root_rot", "dof_pos")
_READ = (*_POSES, "fps", "dof_vel", "joint_names")
_ORDER = "x, y, z, w"


@component
class Gmr:
    """GMR (pkl or npz): root and joints; optionally positions of named bodies in the root's frame."""

    fps: float | None = param(default=None, validator=POSSIBLE_FPS)
    """Frame rate to use instead of the one in the file [1/s]."""
    fill_missing: bool = param(default=False)
    """Keep joints that the file lacks at their default."""
    trust: bool = param(default=False)
    """Import the file as documented even if another reading looks more plausible."""

    def recognises(self, path: Path) -> str:
        """Return a description of what was found; empty if the file has another format. Raises MotionError."""
        if is_pickle_or_json(path):
            count = len(motions_in(read_values(path), _POSES, path.stem))
            return f"GMR pickle, {count} motion{'s' if count != 1 else ''}" if count else ""
        shapes = member_shapes(path)
        return _found("GMR npz", shapes) if "body_names" not in shapes else ""

    def explain(self, path: Path) -> str:
        """Describe a file of values or arrays that no importer recognises, and what to do."""
        if is_pickle_or_json(path):
            return explain(read_values(path), "gmr", _POSES)
        shapes = member_shapes(path)
        if is_zip(path) and not shapes:
            return "contains only arrays of Python objects, which mtrack never reads (that can run code); save numbers"
        return explain(shapes, "gmr", _POSES) if shapes else ""

    def clips(self, path: Path, robot: Robot) -> Iterator[Clip]:
        """Yield the clips of a file. Raises MotionError that names file, field and remedy."""
        members = (*_READ, "local_body_pos", "link_body_list")
        content = read_values(path) if is_pickle_or_json(path) else _members(path, members)
        motions = motions_in(content, _POSES, path.stem)
        if not motions:
            raise MotionError(f"{path}: {explain(content, 'gmr', _POSES)}")
        motions |= incomplete_motions(content, _POSES, path.stem)
        options = ImportOptions(self.fps, self.fill_missing, self.trust)

        def read(name: str) -> Clip:
            called = f": motion '{name}'" if len(motions) > 1 and name.isprintable() else ""
            fields = Fields(motions[name], f"{path}{called}")
            return resolve(_recording(fields, name, path, "link_body_list"), robot, options)

        yield from read_each(motions, read)


@component
class GentleHumanoidNpz:
    """GentleHumanoid: root, named joints, and poses of named bodies in the root's frame."""

    fps: float | None = param(default=None, validator=POSSIBLE_FPS)
    """Frame rate to use instead of the one in the file [1/s]."""
    fill_missing: bool = param(default=False)
    """Keep joints that the file lacks at their default."""
    trust: bool = param(default=False)
    """Import the file as documented even if another reading looks more plausible."""

    def recognises(self, path: Path) -> str:
        """Return a description of what was found; empty if the file has another format. Raises MotionError."""
        shapes = member_shapes(path)
        return _found("GentleHumanoid npz", shapes) if "body_names" in shapes else ""

    def clips(self, path: Path, robot: Robot) -> Iterator[Clip]:
        """Yield the one clip of a file. Raises MotionError that names file, field and remedy."""
        members = _members(path, (*_READ, "local_body_pos", "local_body_rot", "body_names"))
        recording = _recording(Fields(members, str(path)), path.stem, path, "body_names")
        yield resolve(recording, robot, ImportOptions(self.fps, self.fill_missing, self.trust))


def _found(what: str, shapes: Mapping[str, tuple[int, ...]]) -> str:
    if not all(len(shapes.get(name, ())) > 1 for name in _POSES):
        return ""
    frames, joints = shapes["dof_pos"][:2]
    return f"{what}, {frames} frames, {joints} joints"


def _members(path: Path, wanted: tuple[str, ...]) -> Mapping[str, NDArray[np.generic]]:
    """Return the wanted members of a file, without Python objects: GMR writes None for missing members."""
    shapes = member_shapes(path)
    return read_npz(path, [name for name in wanted if name in shapes])


def _recording(fields: Fields, name: str, path: Path, body_names: str) -> Recording:
    joint_names = fields.names("joint_names") if fields.has("joint_names") else None
    joint_pos = fields.table("dof_pos", len(joint_names) if joint_names else None)
    return Recording(
        name=name,
        place=fields.place,
        source=path.name,
        fps=fields.number("fps"),
        root_pos=fields.table("root_pos", 3),
        root_quat=fields.table("root_rot", 4),
        quat_order=_ORDER,
        joint_pos=joint_pos,
        joint_vel=fields.table("dof_vel", joint_pos.shape[1]) if fields.has("dof_vel") else None,
        joint_names=joint_names,
        bodies=_bodies(fields, body_names),
    )


def _bodies(fields: Fields, body_names: str) -> Bodies | None:
    if not fields.has("local_body_pos"):
        return None
    names = fields.names(body_names) if fields.has(body_names) else None
    pos = fields.table("local_body_pos", len(names) if names else None, 3)
    quat = fields.table("local_body_rot", pos.shape[1], 4) if fields.has("local_body_rot") else None
    return Bodies(pos=pos, quat=quat, quat_order=_ORDER, names=names, in_world=False)
