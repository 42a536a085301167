"""Inflate untrusted compressed files up to a limit: gzip, bzip2, xz, zlib, and zip archives of one file."""

from __future__ import annotations

import bz2
import lzma
import re
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from mtrack import MotionError
from mtrack_motion.npz import MAX_FILE_BYTES, is_zip

MAX_INFLATED_BYTES = 64 * 1024 * 1024
"""Limit for inflated content. A limit on the ratio would not work: a motionless clip compresses as well as a bomb."""
_MAX_DICTIONARY_BYTES = 128 * 1024 * 1024  # memory that an xz file may make its reader allocate
_FOLDER = "mtrack-import-"
_SUFFIXES = (".gz", ".bz2", ".xz", ".lzma", ".z", ".zip")


class _Inflater(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


_INFLATERS: dict[bytes, Callable[[], _Inflater]] = {
    b"\x1f\x8b": lambda: zlib.decompressobj(wbits=31),
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\x00": lambda: lzma.LZMADecompressor(memlimit=_MAX_DICTIONARY_BYTES),
    b"\x5d\x00\x00": lambda: lzma.LZMADecompressor(memlimit=_MAX_DICTIONARY_BYTES),
    **dict.fromkeys((b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda"), zlib.decompressobj),
}
"""Decompressors by how the content begins; joblib writes all of these, by default a bare zlib stream."""


class InflationError(Exception):
    """Content that cannot be inflated (damaged, cut off, or larger than the limit): says why and what to do."""


def is_compressed(head: bytes) -> bool:
    """Return whether content with this beginning is compressed."""
    return head.startswith(tuple(_INFLATERS))


def inflated(content: bytes) -> bytes:
    """Return the inflated content of a compressed file. Raises InflationError."""
    limit, whole = MAX_INFLATED_BYTES, bytearray()
    while content:
        start = next((start for start in _INFLATERS if content.startswith(start)), None)
        if start is None:
            break  # padding after the last stream
        inflater = _INFLATERS[start]()
        try:
            whole += inflater.decompress(content, limit + 1 - len(whole))
        except (zlib.error, lzma.LZMAError, OSError, ValueError) as error:
            raise InflationError(f"is damaged ({error}); copy the file again") from None
        if len(whole) > limit:
            raise InflationError(f"inflates to more than {limit:,} bytes; split the motion into shorter clips")
        if not inflater.eof:
            raise InflationError("ends early; copy the file again")
        content = inflater.unused_data
    return bytes(whole)


def inflated_head(head: bytes, size: int) -> bytes:
    """Return the first `size` bytes of the content of a compressed file with this beginning; empty if damaged."""
    start = next((start for start in _INFLATERS if head.startswith(start)), None)
    if start is None:
        return head
    try:
        return _INFLATERS[start]().decompress(head, size)
    except (zlib.error, lzma.LZMAError, OSError, ValueError):
        return b""


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Yield the path of the decompressed file in a temporary directory; for other files, the path itself.

    A zip archive of one file counts as compressed, unless it is an .npz file. Raises MotionError.
    """
    content = _inside(path)
    if content is None:
        yield path
        return
    name, plain = content
    with tempfile.TemporaryDirectory(prefix=_FOLDER) as folder:
        file = Path(folder, name)
        file.write_bytes(plain)
        yield file


def without_folder(text: str) -> str:
    """Remove the temporary directory of decompressed files from a text."""
    return re.sub(rf"{re.escape(tempfile.gettempdir())}/{_FOLDER}\w+/", "", text)


def _inside(path: Path) -> tuple[str, bytes] | None:
    """Return name and content of the file inside a compressed file; None for other files. Raises MotionError."""
    try:
        with path.open("rb") as file:
            head = file.read(8)
            if is_zip(path):
                return _only_member(path)
            if not is_compressed(head) or not inflated_head(head + file.read(4096), 1):
                return None
            if path.stat().st_size > MAX_FILE_BYTES:
                raise MotionError(f"{path}: has more than {MAX_FILE_BYTES:,} bytes; split it into shorter clips")
            file.seek(0)
            return _plain_name(path), inflated(file.read())
    except InflationError as error:
        raise MotionError(f"{path}: {error}") from None
    except OSError as error:
        raise MotionError(f"{path}: cannot be read: {error.strerror or error}; check its permissions") from None


def _plain_name(path: Path) -> str:
    return path.stem if path.suffix.lower() in _SUFFIXES else path.name


def _only_member(path: Path) -> tuple[str, bytes] | None:
    """Return name and content of the only file in a zip archive; None if there are several, or if it is .npz."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.filename.endswith("/")]
            if len(members) != 1 or members[0].filename.endswith(".npy"):
                return None
            with archive.open(members[0]) as file:
                content = file.read(MAX_INFLATED_BYTES + 1)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, zlib.error, EOFError, OSError, ValueError):
        return None  # the reader of the archive reports what is wrong with it
    if len(content) > MAX_INFLATED_BYTES:
        raise InflationError(f"inflates to more than {MAX_INFLATED_BYTES:,} bytes; split the motion into shorter clips")
    return Path(members[0].filename).name or "motion", content
