"""The skeleton source `joint_positions`: positions of joints, which need no body model."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from mtrack import MotionError, SkeletonMotion, component, param
from mtrack_formats.contents import is_pickle_or_json, motions_in, read_values
from mtrack_formats.fields import Fields
from mtrack_formats.recording import POSSIBLE_FPS
from mtrack_motion.npz import member_shapes, read_npz
from mtrack_retarget.smpl_joints import BODY_JOINTS, BODY_PARENTS, HAND_PARENTS, HANDS

log = logging.getLogger(__name__)

_POSITIONS = ("positions", "joint_positions", "global_joint_positions", "smpl_joints", "joints")
_NAMES = ("joint_names", "names", "joints")
_FPS = ("fps", "frame_rate", "framerate", "mocap_framerate", "mocap_frame_rate")
_ASAP = ("smpl_joints",)
_SMPL = {
    len(BODY_JOINTS): (BODY_JOINTS, BODY_PARENTS),
    len(BODY_JOINTS) + 2: ((*BODY_JOINTS, *HANDS), (*BODY_PARENTS, *HAND_PARENTS)),
}


@component
class JointPositions:
    """Positions of joints: .npz with `positions` [T, K, 3], `joint_names` and `fps`, or pickles with `smpl_joints`.

    In an .npz, `positions` may be called `joint_positions`, `global_joint_positions`, `smpl_joints` or `joints`,
    `joint_names` also `names` or `joints`, and `fps` also `frame_rate` or `mocap_framerate`. `parents` [K] is optional.
    The pickles are those of ASAP, which contain the person's joints next to the robot's.
    """

    fps: float | None = param(default=None, validator=POSSIBLE_FPS)
    """Frame rate to use instead of the one in the file [1/s]."""

    def recognises(self, path: Path) -> str:
        """Return a description of what was found; empty if the file has another format. Raises MotionError."""
        if is_pickle_or_json(path):
            count = len(motions_in(read_values(path), _ASAP, path.stem))
            return f"ASAP pickle, {count} person{'s' if count != 1 else ''}" if count else ""
        shapes = member_shapes(path)
        name = _positions(shapes)
        return f"joint positions, {shapes[name][0]} frames, {shapes[name][1]} joints" if name else ""

    def skeletons(self, path: Path) -> Iterator[SkeletonMotion]:
        """Yield the motions of a file. Raises MotionError that names file, field and remedy."""
        if not self.recognises(path):
            raise MotionError(
                f"{path}: has no positions of joints; save them with np.savez('walk.npz', positions=..., "
                "joint_names=..., fps=...), positions [T, K, 3]"
            )
        if not is_pickle_or_json(path):
            yield self._of_arrays(path)
            return
        motions = motions_in(read_values(path), _ASAP, path.stem)
        for key, motion in motions.items():
            fields = Fields(motion, f"{path}: motion '{key}'")
            pos = fields.table("smpl_joints", tuple(_SMPL), 3)
            names, parents = _SMPL[pos.shape[1]]
            yield SkeletonMotion(
                name=path.stem if len(motions) == 1 else key,
                fps=self.fps or fields.number("fps"),
                joint_names=names,
                pos=pos,
                parents=parents,
                unit_m=1.0,
                up="z",
                source=path.name,
            )

    def _of_arrays(self, path: Path) -> SkeletonMotion:
        """Return the motion of an .npz file."""
        shapes = member_shapes(path)
        name = _positions(shapes)
        fields = Fields(read_npz(path, {name, *_NAMES, *_FPS, "parents"}), str(path))
        pos = fields.table(name, None, 3)
        count = pos.shape[1]
        named = next((other for other in _NAMES if other in shapes and other != name), "")
        parents: tuple[int, ...] = ()
        if named:
            names = fields.names(named)
            if len(names) != count:
                raise fields.error(named, f"has {len(names)} names, but '{name}' has {count} joints")
        elif count in _SMPL:
            names, parents = _SMPL[count]
            log.warning("%s: has no joint_names; assumed the order of SMPL's %d joints", path, count)
        else:
            raise fields.error(
                name, f"has {count} joints without names", "add joint_names, a text for each joint, to the file"
            )
        rate = next((other for other in _FPS if fields.has(other)), "")
        return SkeletonMotion(
            name=path.stem,
            fps=self.fps or (fields.number(rate) if rate else None),
            joint_names=names,
            pos=pos,
            parents=_parents(fields, count) or parents,
            source=path.name,
        )


def _positions(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Return the name of the member with positions [T, K, 3]; empty if it has no such member."""
    return next((name for name in _POSITIONS if len(shapes.get(name, ())) == 3 and shapes[name][2] == 3), "")


def _parents(fields: Fields, count: int) -> tuple[int, ...]:
    """Return the parents of the joints; empty if the file has none. Raises MotionError."""
    if not fields.has("parents"):
        return ()
    value = fields.values.get("parents")
    if not isinstance(value, np.ndarray) or value.shape != (count,) or value.dtype.kind not in "iu":
        raise fields.error("parents", f"is not an index of each of the {count} joints' parent, -1 for the root")
    parents = tuple(int(parent) for parent in value)
    if not all(-1 <= parent < count for parent in parents):
        raise fields.error("parents", f"has an index outside -1 to {count - 1}")
    return parents
