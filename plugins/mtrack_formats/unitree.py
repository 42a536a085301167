"""The importer `unitree_csv`: G1 motions as Unitree published its retargeted LAFAN1 set."""

from __future__ import annotations

import logging
import math
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtrack.errors import MotionError
from mtrack.exchange import Clip
from mtrack.fields import component, param
from mtrack_formats.joints import G1_29
from mtrack_motion.clip import QUATERNION_TOLERANCE, check_clip, check_upright, single, unit_quaternions

log = logging.getLogger(__name__)

MAX_FILE_BYTES = 256 * 1024 * 1024
DEFAULT_FPS = 30.0
COLUMNS = 3 + 4 + len(G1_29)
_XYZW_TO_WXYZ = [6, 3, 4, 5]
_LONGEST_LINE = 8192
_PLACE = re.compile(r"at row (\d+)(?:, column (\d+))?")


@component
class UnitreeCsv:
    """36 columns without a header: root x y z, quaternion x y z w, 29 joints of the G1 (LAFAN1 retargeted)."""

    fps: float | None = param(default=None)
    """Frame rate [1/s]; the file does not hold it, and 30 is assumed aloud where it is not given."""

    def recognises(self, path: Path) -> str:
        """Return what was found, in words, or an empty string if the file is of another format."""
        try:
            with path.open("rb") as file:
                line = file.readline(_LONGEST_LINE)
            values = [float(cell) for cell in line.decode("ascii").split(",")]
        except (OSError, ValueError):
            return ""
        is_row = len(values) == COLUMNS and abs(math.hypot(*values[3:7]) - 1.0) < QUATERNION_TOLERANCE
        return "Unitree csv, 36 columns" if is_row else ""

    def clips(self, path: Path) -> Iterator[Clip]:
        """Yield the one clip of a file; what is assumed is logged. Raises MotionError naming file, row and remedy."""
        rows = _read(path)
        if self.fps is None:
            log.warning("assumed: %g frames a second (the file does not say; give --fps if it is another)", DEFAULT_FPS)
        log.info("assumed: columns are root x y z, quaternion x y z w, then %s", ", ".join(G1_29))
        clip = Clip(
            name=path.stem,
            fps=DEFAULT_FPS if self.fps is None else self.fps,
            joint_names=G1_29,
            root_pos=single(rows[:, :3]),
            root_quat_wxyz=unit_quaternions(rows[:, _XYZW_TO_WXYZ]),
            joint_pos=single(rows[:, 7:]),
            source=path.name,
        )
        check_clip(clip, f"{path} (row = frame + 1)")
        check_upright(clip, str(path))
        yield clip


def _read(path: Path) -> NDArray[np.float64]:
    """Return the rows of a file, [T, 36]. Raises MotionError for anything that is not a number in a full row."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise MotionError(f"{path}: has more than {MAX_FILE_BYTES:,} bytes; split it into shorter clips")
        # an open file, because loadtxt would inflate one called .gz; not genfromtxt, which makes NaN of bad cells
        with path.open(encoding="ascii") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of an empty file, which is an error below
            rows = np.loadtxt(file, delimiter=",", comments=None, ndmin=2, dtype=np.float64)
    except UnicodeDecodeError:
        raise MotionError(f"{path}: is not a text file of numbers; choose another --format") from None
    except ValueError as error:
        raise MotionError(f"{path}: {_explained(str(error))}") from None
    except OSError as error:
        raise MotionError(f"{path}: cannot be read: {error.strerror or error}; check the path") from None
    if rows.size == 0:
        raise MotionError(f"{path}: is empty; copy or export it again")
    if rows.shape[1] != COLUMNS:
        raise MotionError(
            f"{path}, row 1: has {rows.shape[1]} columns, expected {COLUMNS} (root x y z, quaternion x y z w, "
            "29 joints); choose another --format"
        )
    return rows


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
