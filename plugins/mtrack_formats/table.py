"""Read a table of numbers strictly, from text of any common delimiter and encoding, or from .npy."""

from __future__ import annotations

import array
import logging
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs
import numpy as np
from numpy.typing import NDArray

from mtrack import MotionError
from mtrack_motion.file_kinds import as_text

log = logging.getLogger(__name__)

MAX_FILE_BYTES = 16 * 1024 * 1024
"""25 minutes at 30 frames per second."""
_LONGEST_LINE = 8192
_HEAD_BYTES = 64 * 1024
_MAX_PREAMBLE = 100  # lines before the table
_SURELY_A_TABLE = 8  # columns; in a narrower table the next lines must look the same
_COMMENTS = ("#", "//", "%")
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+(?:[eE][-+]?\d+)?")
_RATE = re.compile(r"\b(?:fps|frame[ _]?rate|hz)\b[\"'\]:=,;\s]{0,4}(\d+(?:\.\d+)?)", re.IGNORECASE)


@attrs.frozen(eq=False)
class NumberTable:
    """T rows of C numbers, and the header and rate from the lines before them."""

    values: NDArray[np.float64]
    """[T, C]."""
    header: tuple[str, ...] | None
    """Name of each column."""
    first_line: int
    """Line of row 0, counted from 1."""
    fps: float | None = None
    """Frame rate in a line before the table."""


@attrs.frozen
class _Start:
    """The line where the rows of a text begin, and how their cells are separated."""

    index: int
    delimiter: str | None
    """None: any white space."""
    width: int

    def cells(self, line: str) -> list[str]:
        """Return the cells of a line, without an empty one after the last delimiter."""
        if self.delimiter != ",":
            line = line.replace(",", ".")
        cells = [cell.strip().strip("\"'") for cell in line.split(self.delimiter)]
        return cells[:-1] if len(cells) == self.width + 1 and not cells[-1] else cells


def table_width(path: Path) -> int:
    """Return the number of columns of the table in a file, judged by its first 64 KiB; 0 if there is no table."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
            if head.startswith(np.lib.format.MAGIC_PREFIX):
                file.seek(0)
                shape, dtype = _npy_header(path)
                return shape[1] if len(shape) == 2 and dtype.kind in "iuf" else 0
    except (OSError, ValueError):
        return 0
    lines = as_text(head).split("\n")
    start = _find_start(lines[:-1] if len(head) == _HEAD_BYTES and len(lines) > 1 else lines)
    return start.width if start else 0


def read_table(path: Path) -> NumberTable:
    """Return the table in a file. Raises MotionError that names the line and cell."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise MotionError(f"{path}: has more than {MAX_FILE_BYTES:,} bytes; split it into shorter clips")
        content = path.read_bytes()
        if content.startswith(np.lib.format.MAGIC_PREFIX):
            return _read_npy(path)
    except OSError as error:
        raise MotionError(f"{path}: cannot be read: {error.strerror or error}; check the path") from None
    except ValueError as error:
        raise MotionError(f"{path}: is damaged ({' '.join(str(error).split())[:120]}); export it again") from None
    if not content.strip():
        raise MotionError(f"{path}: is empty; copy or export it again")
    lines = as_text(content).split("\n")
    start = _find_start(lines)
    if start is None:
        raise MotionError(f"{path}: is not a text file with a table of numbers; choose another --format")
    preamble = [line for line in lines[: start.index] if line.strip()]
    rates = [float(match[1]) for line in preamble if (match := _RATE.search(line))]
    return NumberTable(
        _numbers(lines, start, path), _header(preamble, start), start.index + 1, rates[0] if rates else None
    )


def _find_start(lines: Sequence[str]) -> _Start | None:
    """Return where a table begins: at the first line that consists mostly of numbers."""
    for index, line in enumerate(lines[:_MAX_PREAMBLE]):
        if not line.strip() or _is_comment(line):
            continue
        delimiter = _delimiter(line[:_LONGEST_LINE])
        cells = _Start(index, delimiter, 0).cells(line[:_LONGEST_LINE])
        start = _Start(index, delimiter, len(cells) - (not cells[-1]))
        if not _is_row(cells, start.width):
            continue
        next_rows = [start.cells(other) for other in lines[index + 1 : index + 3] if other.strip()]
        if start.width >= _SURELY_A_TABLE or all(_is_row(cells, start.width) for cells in next_rows):
            return start
    return None


def _delimiter(line: str) -> str | None:
    """Return what separates the cells of a line of numbers."""
    words = line.split()
    if "," in line and len(words) > 1 and all(_DECIMAL_COMMA.fullmatch(word) for word in words):
        return "\t" if "\t" in line.strip() else None
    return next((mark for mark in (";", "\t", ",", "|") if mark in line.strip()), None)


def _is_row(cells: Sequence[str], width: int) -> bool:
    numbers = sum(_number(cell) is not None for cell in cells)
    return len(cells) in (width, width + 1) and numbers > width // 2


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith(_COMMENTS)


def _number(cell: str) -> float | None:
    """Return the number in a cell; None if it is not a number as people write it."""
    try:
        return None if "_" in cell else float(cell.replace("\u2212", "-"))
    except ValueError:
        return None


def _header(preamble: Sequence[str], start: _Start) -> tuple[str, ...] | None:
    """Return the names in the last line before the table that has as many cells as the rows."""
    delimiter = start.delimiter
    for line in reversed(preamble):
        text = line.strip().lstrip("#%/").strip() if _is_comment(line) else line.strip("\n")
        for mark in dict.fromkeys((delimiter, ",", None)):
            cells = [cell.strip().strip("\"'") for cell in text.split(mark)]
            if len(cells) == start.width:
                return tuple(cells)
    return None


def _numbers(lines: list[str], start: _Start, path: Path) -> NDArray[np.float64]:
    """Return the rows of a table, [T, C]. Raises MotionError for anything that is not a number in a full row."""
    numbers = array.array("d")
    for number, line in _rows(lines, start, path):
        cells = start.cells(line)
        if len(cells) != start.width:
            raise MotionError(
                f"{path}, line {number}: has {len(cells)} column{'s' if len(cells) != 1 else ''}, but the lines above "
                f"have {start.width}; complete or delete that line"
            )
        try:
            values = None if "_" in line else [float(cell) for cell in cells]
        except ValueError:
            values = None
        row = values if values is not None else list(_each_number(cells, f"{path}, line {number}"))
        if number == len(lines) and numbers:
            log.warning("ignored the last row: it does not end with a line break, so the file may be cut off")
            break
        numbers.extend(row)
    return np.frombuffer(numbers, np.float64).reshape(-1, start.width)


def _rows(lines: list[str], start: _Start, path: Path) -> Iterator[tuple[int, str]]:
    """Yield the number and text of each line of a table. Raises MotionError if a line is too long."""
    for index in range(start.index, len(lines)):
        line = lines[index]
        if len(line) > _LONGEST_LINE:
            raise MotionError(
                f"{path}, line {index + 1}: has more than {_LONGEST_LINE:,} characters, too many for a row of a "
                "motion; if rows and columns are swapped, transpose the table"
            )
        if line.strip() and not _is_comment(line):
            yield index + 1, line


def _each_number(cells: Sequence[str], place: str) -> Iterator[float]:
    """Yield the numbers in cells. Raises MotionError for the first cell that is not a number."""
    for column, cell in enumerate(cells, start=1):
        number = _number(cell)
        if number is None:
            raise MotionError(f"{place}, column {column}: {cell[:40]!r} is not a number; fix or delete that line")
        yield number


def _npy_header(path: Path) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    """Return the shape and dtype of a .npy file, if the file is large enough for them. Raises ValueError."""
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in readers:
            raise ValueError(f"npy version {version} is not supported")
        shape, _, dtype = readers[version](file)
        if math.prod(shape) * dtype.itemsize > path.stat().st_size:
            raise ValueError("it ends early")
        return shape, dtype


def _read_npy(path: Path) -> NumberTable:
    shape, dtype = _npy_header(path)
    if dtype.kind not in "iuf" or len(shape) != 2:
        raise MotionError(
            f"{path}: is an array of {dtype} {shape}, expected numbers with one row per frame; export it that way"
        )
    return NumberTable(np.asarray(np.load(path, allow_pickle=False), np.float64), None, 0)
