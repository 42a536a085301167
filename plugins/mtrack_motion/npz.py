"""Read .npz files from untrusted sources: check claimed sizes before inflating anything, and never read pickles.

`zipfile` does the work. `numpy.load` is not used because it would inflate a zip bomb and allocate whatever shape a
header claims; the directory is checked first because `zipfile` makes an object for every entry.
"""

from __future__ import annotations

import io
import math
import warnings
import zipfile
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mtrack import MotionError

MAX_BYTES = 64 * 1024 * 1024
"""Limit for all members that are read, inflated: two hours of a humanoid at 50 Hz."""
MAX_FILE_BYTES = 256 * 1024 * 1024
"""Limit for the whole file, of which only some members may be read."""
MAX_MEMBERS = 64

_MAX_DIRECTORY_BYTES = 64 * 1024
_END_RECORD, _END_RECORD_64 = b"PK\x05\x06", b"PK\x06\x07"
_END_RECORD_SIZE = 22
_READ = "biufSU"  # kinds of dtype: numbers and text


class _RejectedError(Exception):
    """Content that is rejected: says why and what to do."""


def read_npz(path: Path, only: Container[str] | None = None) -> dict[str, NDArray[np.generic]]:
    """Return the read-only arrays of an .npz file by name: those in `only`, or all. Raises MotionError in one line."""
    with _opened(path) as archive:
        members = [info for info in archive.infolist() if only is None or _name(info) in only]
        _check_members(members)
        return {_name(info): _read(archive, info) for info in members}


def member_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the arrays of an .npz file by name, without reading them; empty for other files.

    Arrays of Python objects are ignored, because they are never read. Raises MotionError in one line if damaged.
    """
    if not is_zip(path):
        return {}
    with _opened(path) as archive:
        shapes: dict[str, tuple[int, ...]] = {}
        for info in archive.infolist():
            with _member(archive, info) as file:
                shape, _, dtype = _header(file)
            if dtype.kind in _READ:
                shapes[_name(info)] = shape
        return shapes


def is_zip(path: Path) -> bool:
    """Return whether a file begins like a zip file."""
    try:
        with path.open("rb") as file:
            return file.read(4) in (b"PK\x03\x04", _END_RECORD)
    except OSError:
        return False


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an .npz file if it does not have too many members; any error becomes a MotionError."""
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("error")
            _check_directory(file)
            with zipfile.ZipFile(file) as archive:
                if (count := len(archive.infolist())) > MAX_MEMBERS:
                    raise _RejectedError(f"it has {count} members, more than {MAX_MEMBERS}; a motion file has about 10")
                yield archive
    except FileNotFoundError:
        raise MotionError(f"{path}: there is no such file; check the path") from None
    except IsADirectoryError:
        raise MotionError(f"{path}: is a directory; name one .npz file in it") from None
    except PermissionError:
        raise MotionError(f"{path}: cannot be read; check its permissions") from None
    except _RejectedError as refusal:
        raise MotionError(f"{path}: {refusal}") from None
    except Exception as error:  # whatever zipfile, zlib and numpy raise is caused by the file's bytes
        detail = " ".join(str(error).split())[:120] or type(error).__name__
        raise MotionError(f"{path}: damaged or not an .npz file ({detail}); copy or export it again") from None


def _name(member: zipfile.ZipInfo) -> str:
    return member.filename.removesuffix(".npy")


def _check_directory(file: BinaryIO) -> None:
    """Reject a list of members that is far too long, before `zipfile` makes an object for every entry."""
    size = file.seek(0, io.SEEK_END)
    if size > MAX_FILE_BYTES:
        raise _RejectedError(
            f"the file has {size:,} bytes, more than {MAX_FILE_BYTES:,}; split the motion into shorter clips"
        )
    file.seek(max(0, size - (1 << 16) - _END_RECORD_SIZE))
    tail = file.read()
    start = len(tail) - _END_RECORD_SIZE  # `zipfile` looks here first, then it searches backwards
    if not (tail[start:].startswith(_END_RECORD) and tail.endswith(b"\0\0")):
        start = tail.rfind(_END_RECORD)
    if start < 0:
        raise _RejectedError("is not an .npz file, or its end is missing; copy or export it again")
    directory_bytes = int.from_bytes(tail[start + 12 : start + 16], "little")
    has_64 = tail[max(0, start - 20) : start].startswith(_END_RECORD_64)
    if directory_bytes > _MAX_DIRECTORY_BYTES or has_64:
        raise _RejectedError(f"it lists far more than {MAX_MEMBERS} members; a motion file has about 10")
    file.seek(0)


def _check_members(members: list[zipfile.ZipInfo]) -> None:
    total = sum(member.file_size for member in members)
    if total > MAX_BYTES:
        raise _RejectedError(
            f"it inflates to {total:,} bytes, more than {MAX_BYTES:,}; split the motion into shorter clips"
        )
    if len({member.filename for member in members}) < len(members):
        raise _RejectedError("two of its members have the same name; export it again")


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[np.generic]:
    with _member(archive, member) as file:
        shape, column_major, dtype = _header(file)
        size, claimed = math.prod(shape) * dtype.itemsize, member.file_size - file.tell()
        if dtype.kind not in _READ:
            raise _RejectedError(f"{member.filename}: contains {dtype}, not numbers or text; it is not read")
        if size != claimed:
            raise _RejectedError(f"{member.filename}: has {claimed:,} bytes, but its shape {shape} needs {size:,}")
        content = file.read(size)
    if size == 0:
        if dtype.itemsize == 0 and math.prod(shape) > 0:
            raise _RejectedError(f"{member.filename}: claims {math.prod(shape):,} empty texts; it is not read")
        return np.zeros(shape, dtype)
    flat = np.frombuffer(content, dtype)
    return flat.reshape(shape[::-1]).T if column_major else flat.reshape(shape)


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> IO[bytes]:
    # other methods inflate a whole block even if only a few bytes are requested; numpy writes only these two
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise _RejectedError(f"{member.filename}: is compressed with a method numpy does not use; export it again")
    return archive.open(member)


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(file)
    raise _RejectedError(f"contains an array of npy version {version}; export it with a plain dtype")
