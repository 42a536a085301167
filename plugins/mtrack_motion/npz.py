"""Read .npz files from strangers: what a member claims is checked before it is inflated, and no pickle is ever read."""

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

from mtrack.errors import MotionError

MAX_BYTES = 64 * 1024 * 1024
"""Of all members read, together, inflated: two hours of a humanoid at 50 Hz."""
MAX_FILE_BYTES = 256 * 1024 * 1024
"""Of a file, of which only some members may be read."""
MAX_MEMBERS = 64

_MAX_DIRECTORY_BYTES = 64 * 1024
_END_RECORD, _END_RECORD_64 = b"PK\x05\x06", b"PK\x06\x07"
_END_RECORD_SIZE = 22
_READ = "biufSU"  # kinds of dtype: numbers and text


class _RejectedError(Exception):
    """Content that is not read; says why and what to do."""


def read_npz(path: Path, only: Container[str] | None = None) -> dict[str, NDArray[np.generic]]:
    """Return the arrays of an .npz file by name, read-only; those in `only`, or all. Raises MotionError in one line."""
    with _opened(path) as archive:
        members = [info for info in archive.infolist() if only is None or _name(info) in only]
        _check_members(members)
        return {_name(info): _read(archive, info) for info in members}


def member_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the arrays of an .npz file by name, nothing of them read; of another file, nothing.

    Arrays of Python objects are left out: they are never read. Raises MotionError in one line for a damaged .npz file.
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
    """Say whether a file begins like a zip file."""
    try:
        with path.open("rb") as file:
            return file.read(4) in (b"PK\x03\x04", _END_RECORD)
    except OSError:
        return False


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an .npz file with few enough members; whatever goes wrong with it is a MotionError."""
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("error")
            _check_directory(file)
            with zipfile.ZipFile(file) as archive:
                if (count := len(archive.infolist())) > MAX_MEMBERS:
                    raise _RejectedError(
                        f"it has {count} members, more than {MAX_MEMBERS}; a motion file holds about ten"
                    )
                yield archive
    except FileNotFoundError:
        raise MotionError(f"{path}: there is no such file; check the path") from None
    except IsADirectoryError:
        raise MotionError(f"{path}: is a directory; name one .npz file in it") from None
    except PermissionError:
        raise MotionError(f"{path}: may not be read; check its permissions") from None
    except _RejectedError as refusal:
        raise MotionError(f"{path}: {refusal}") from None
    except Exception as error:  # whatever zipfile, zlib and numpy raise on arbitrary bytes is the file's fault
        detail = " ".join(str(error).split())[:120] or type(error).__name__
        raise MotionError(f"{path}: damaged or not an .npz file ({detail}); copy or export it again") from None


def _name(member: zipfile.ZipInfo) -> str:
    return member.filename.removesuffix(".npy")


def _check_directory(file: BinaryIO) -> None:
    """Refuse a list of members too long to be honest, before `zipfile` makes an object of every entry."""
    size = file.seek(0, io.SEEK_END)
    if size > MAX_FILE_BYTES:
        raise _RejectedError(
            f"the file has {size:,} bytes, more than {MAX_FILE_BYTES:,}; split the motion into shorter clips"
        )
    file.seek(max(0, size - (1 << 16) - _END_RECORD_SIZE))
    tail = file.read()
    place = len(tail) - _END_RECORD_SIZE  # where `zipfile` looks first, then it searches backwards
    if not (tail[place:].startswith(_END_RECORD) and tail.endswith(b"\0\0")):
        place = tail.rfind(_END_RECORD)
    if place < 0:
        raise _RejectedError("is not an .npz file, or its end is missing; copy or export it again")
    directory_bytes = int.from_bytes(tail[place + 12 : place + 16], "little")
    has_64 = tail[max(0, place - 20) : place].startswith(_END_RECORD_64)
    if directory_bytes > _MAX_DIRECTORY_BYTES or has_64:
        raise _RejectedError(f"it lists far more than {MAX_MEMBERS} members; a motion file holds about ten")
    file.seek(0)


def _check_members(members: list[zipfile.ZipInfo]) -> None:
    total = sum(member.file_size for member in members)
    if total > MAX_BYTES:
        raise _RejectedError(
            f"it inflates to {total:,} bytes, more than {MAX_BYTES:,}; split the motion into shorter clips"
        )
    if len({member.filename for member in members}) < len(members):
        raise _RejectedError("two of its members bear one name; export it again")


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[np.generic]:
    with _member(archive, member) as file:
        shape, column_major, dtype = _header(file)
        size, claimed = math.prod(shape) * dtype.itemsize, member.file_size - file.tell()
        if dtype.kind not in _READ:
            raise _RejectedError(f"{member.filename}: holds {dtype} and not numbers or text; it is not read")
        if size != claimed:
            raise _RejectedError(f"{member.filename}: holds {claimed:,} bytes where its shape {shape} needs {size:,}")
        content = file.read(size)
    if size == 0:
        if dtype.itemsize == 0 and math.prod(shape) > 0:
            raise _RejectedError(f"{member.filename}: claims {math.prod(shape):,} empty texts; it is not read")
        return np.zeros(shape, dtype)
    flat = np.frombuffer(content, dtype)
    return flat.reshape(shape[::-1]).T if column_major else flat.reshape(shape)


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> IO[bytes]:
    # other methods inflate a whole block at once, however little is asked for; numpy writes these two
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise _RejectedError(f"{member.filename}: is compressed by a method numpy does not use; export it again")
    return archive.open(member)


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(file)
    raise _RejectedError(f"holds an array of npy version {version}; export it with a plain dtype")
