"""The importer `unitree_csv`: tables of root pose and joints, the format of Unitree's retargeted LAFAN1 set."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from mtrack import Clip, Robot, component, param
from mtrack_formats.columns import sort_columns
from mtrack_formats.joint_orders import G1_29
from mtrack_formats.recording import POSSIBLE_FPS, ImportOptions, Recording
from mtrack_formats.resolve import resolve
from mtrack_formats.table import read_table, table_width
from mtrack_motion.file_kinds import what_it_is

DEFAULT_FPS = 30.0
COLUMNS = 3 + 4 + len(G1_29)


@component
class UnitreeCsv:
    """A table, one row per frame: root x y z, quaternion x y z w, 29 joints of the G1 (LAFAN1 retargeted).

    Text of any common delimiter and encoding, or .npy. If a header names the joints, columns are matched by name.
    """

    fallback: ClassVar[bool] = True  # claims any table of numbers, so that reading it reports what is wrong

    fps: float | None = param(default=None, validator=POSSIBLE_FPS)
    """Frame rate [1/s]; by default from times in the file, or 30 with a warning."""
    fill_missing: bool = param(default=False)
    """Keep joints that the file lacks at their default."""
    trust: bool = param(default=False)
    """Import the file as documented even if another reading looks more plausible."""

    def recognises(self, path: Path) -> str:
        """Return a description of what was found; empty if the file is not a table of numbers."""
        width = 0 if what_it_is(path) else table_width(path)  # a BVH file also ends with a table of numbers
        kind = "Unitree csv" if width == COLUMNS else "table of numbers"
        return f"{kind}, {width} column{'s' if width != 1 else ''}" if width else ""

    def clips(self, path: Path, robot: Robot) -> Iterator[Clip]:
        """Yield the one clip of a file. Raises MotionError that names file, line and remedy."""
        table = read_table(path)
        place = f"{path} (frame 0 is line {table.first_line})" if table.first_line else str(path)
        columns = sort_columns(table, robot.model().joint_names, place)
        recording = Recording(
            name=path.stem,
            place=place,
            source=path.name,
            fps=columns.fps,
            default_fps=DEFAULT_FPS,
            root_pos=columns.root_pos,
            root_quat=columns.root_quat,
            quat_order="x, y, z, w",
            joint_pos=columns.joint_pos,
            joint_names=columns.joint_names,
            known_order=columns.known_order,
            root_proven=columns.quat_is_named,
        )
        yield resolve(recording, robot, ImportOptions(self.fps, self.fill_missing, self.trust))
