"""The importer `motion_file`: mtrack's own motion files and packed files, whose clips are copied."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mtrack.errors import MotionError
from mtrack.exchange import Clip
from mtrack.fields import component
from mtrack.protocols import Robot
from mtrack_motion.archive import member_shapes
from mtrack_motion.clip import joint_columns
from mtrack_motion.file import read_clip
from mtrack_motion.pack import Pack, is_pack


@component
class MotionFile:
    """mtrack's own: a motion file, or a packed file, whose clips become motion files again."""

    def recognises(self, path: Path) -> str:
        """Return what was found, in words, or an empty string if it is of another format. Raises MotionError."""
        if is_pack(path):
            return "packed file of mtrack, its clips are copied"
        return "motion file of mtrack, copied" if "schema_version" in member_shapes(path) else ""

    def clips(self, path: Path, robot: Robot) -> Iterator[Clip]:
        """Yield the clips of a file. Raises MotionError naming file and remedy."""
        if is_pack(path):
            pack = Pack.open(path)
            clips = (pack.clips([number])[0] for number in range(len(pack.names)))
        else:
            clips = iter([read_clip(path)])
        model = robot.model()
        for clip in clips:
            try:
                joint_columns(clip, model)
            except MotionError as error:
                raise MotionError(f"{path}: {error}") from None
            yield clip
