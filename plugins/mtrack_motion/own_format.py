"""The importer `motion_file`: copies the clips of mtrack's own motion files and packed files."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import attrs
import numpy as np

from mtrack import Clip, MotionError, Robot, RobotModel, component, param
from mtrack_motion.clip import joint_columns
from mtrack_motion.file import read_clip
from mtrack_motion.npz import member_shapes
from mtrack_motion.pack import Pack, is_pack

log = logging.getLogger(__name__)


@component
class MotionFile:
    """mtrack's own formats: a motion file, or a packed file whose clips become motion files again."""

    fill_missing: bool = param(default=False)
    """Keep joints that the file lacks at their default."""

    def recognises(self, path: Path) -> str:
        """Return a description of what was found; empty if the file has another format. Raises MotionError."""
        if is_pack(path):
            return "packed file of mtrack, its clips are copied"
        return "motion file of mtrack, copied" if "schema_version" in member_shapes(path) else ""

    def clips(self, path: Path, robot: Robot) -> Iterator[Clip]:
        """Yield the clips of a file. Raises MotionError naming file and remedy."""
        if is_pack(path):
            pack = Pack.open(path)
            clips: Iterator[Clip] = (pack.clips([number])[0] for number in range(len(pack.names)))
        else:
            clips = iter([read_clip(path)])
        model = robot.model()
        for clip in clips:
            try:
                whole = _filled(clip, model) if self.fill_missing else clip
                joint_columns(whole, model)
            except MotionError as error:
                raise MotionError(f"{path}: {error}") from None
            yield whole


def _filled(clip: Clip, model: RobotModel) -> Clip:
    """Add missing joints at their default, with a warning; return the clip itself if none is missing."""
    defaults = zip(model.joint_names, model.default_joint_pos.tolist(), strict=True)
    missing = {name: value for name, value in defaults if name not in clip.joint_names}
    if not missing or len(missing) == len(model.joint_names):
        return clip
    log.warning("missing joints, kept at their default: %s", ", ".join(missing))
    added = np.tile(np.array([*missing.values()], np.float32), (len(clip.joint_pos), 1))
    return attrs.evolve(
        clip, joint_names=(*clip.joint_names, *missing), joint_pos=np.hstack((clip.joint_pos, added)).astype(np.float32)
    )
