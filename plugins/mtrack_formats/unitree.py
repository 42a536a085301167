"""The importer `unitree_csv`: G1 motions as Unitree published its retargeted LAFAN1 set."""

from __future__ import annotations

import itertools
import logging
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from mtrack.errors import MotionError
from mtrack.exchange import Clip
from mtrack.fields import component, param
from mtrack.protocols import Robot
from mtrack_formats.joints import G1_29
from mtrack_formats.recording import Options, Recording
from mtrack_formats.settle import settle

log = logging.getLogger(__name__)

MAX_FILE_BYTES = 16 * 1024 * 1024
"""25 minutes at 30 frames a second; numbers take four times as much memory as the shortest text of them."""
DEFAULT_FPS = 30.0
COLUMNS = 3 + 4 + len(G1_29)
_LONGEST_LINE = 8192
_WIDTHS = range(8, 512)  # of tables taken for a motion
_PLACE = re.compile(r"at row (\d+)(?:, column (\d+))?")


@component
class UnitreeCsv:
    """36 columns without a header: root x y z, quaternion x y z w, 29 joints of the G1 (LAFAN1 retargeted)."""

    fps: float | None = param(default=None)
    """Frame rate [1/s]; the file does not hold it, and 30 is assumed aloud where it is not given."""
    trust: bool = param(default=False)
    """Whether to take a file as documented where another reading looks more plausible."""

    def recognises(self, path: Path) -> str:
        """Return what was found, in words, or an empty string if the file is of another format.

        Any table of numbers is taken for one, so that reading it says what is wrong with it.
        """
        try:
            with path.open("rb") as file:
                rows = [file.readline(_LONGEST_LINE).decode("ascii").strip().split(",") for _ in range(2)]
        except (OSError, ValueError):
            return ""
        width = max(len(row) for row in rows)
        numbers = max(sum(_is_number(cell) for cell in row) for row in rows)
        is_table = width in _WIDTHS and numbers > width // 2
        return f"{'Unitree csv' if width == COLUMNS else 'csv'}, {width} columns" if is_table else ""

    def clips(self, path: Path, robot: Robot) -> Iterator[Clip]:
        """Yield the one clip of a file. Raises MotionError naming file, row and remedy."""
        rows = _read(path)
        recording = Recording(
            name=path.stem,
            place=f"{path} (row = frame + 1)",
            source=path.name,
            fps=None,
            default_fps=DEFAULT_FPS,
            root_pos=rows[:, :3],
            root_quat=rows[:, 3:7],
            quat_order="x, y, z, w",
            joint_pos=rows[:, 7:],
            known_order=G1_29,
        )
        yield settle(recording, robot, Options(self.fps, trust=self.trust))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _read(path: Path) -> NDArray[np.float64]:
    """Return the rows of a file, [T, 36]. Raises MotionError for anything that is not a number in a full row."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise MotionError(f"{path}: has more than {MAX_FILE_BYTES:,} bytes; split it into shorter clips")
        # not by its path: loadtxt would inflate a file called .gz; and not genfromtxt, which makes NaN of bad cells
        with path.open(encoding="ascii", newline="\n") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of an empty file, which is an error below
            rows = np.loadtxt(_lines(file, path), delimiter=",", comments=None, ndmin=2, dtype=np.float64)
    except UnicodeDecodeError:
        raise MotionError(f"{path}: is not a text file of numbers; choose another --format") from None
    except ValueError as error:
        raise MotionError(f"{path}: {_explained(str(error))}") from None
    except OSError as error:
        raise MotionError(f"{path}: cannot be read: {error.strerror or error}; check the path") from None
    if rows.size == 0:
        raise MotionError(f"{path}: is empty; copy or export it again")
    return rows


def _lines(file: TextIO, path: Path) -> Iterator[str]:
    """Yield the lines of a file that hold a full row. Raises MotionError for one that holds less or more."""
    for row in itertools.count(1):
        line = file.readline(_LONGEST_LINE)
        count = line.count(",") + 1
        if not line:
            return
        if line.strip() and count != COLUMNS:
            found = f"{count} columns" if len(line) < _LONGEST_LINE else f"more than {_LONGEST_LINE:,} characters"
            raise MotionError(
                f"{path}, row {row}: has {found}, expected {COLUMNS} (root x y z, quaternion x y z w, 29 joints); "
                + ("choose another --format" if row == 1 else "complete or cut out that row")
            )
        if row > 1 and not line.endswith("\n"):
            log.warning("left out: the last row, which does not end with a line break, in case the file was cut off")
            return
        yield line


def _explained(complaint: str) -> str:
    """Return numpy's complaint about a row in one line, rows counted from 1, with a remedy."""
    text = " ".join(complaint.split()).split(";")[0][:160]
    match = _PLACE.search(text)
    if match is None:
        return f"{text}; every row needs {COLUMNS} numbers, separated by commas"
    row = int(match[1]) + (1 if "could not convert" in text else 0)  # numpy counts rows from 0 in that message only
    column = f", column {match[2]}" if match[2] else ""
    what = text[: match.start()].strip().rstrip(",")
    remedy = "remove the header line" if row == 1 else f"every row needs {COLUMNS} numbers, separated by commas"
    return f"row {row}{column}: {what}; {remedy}"
