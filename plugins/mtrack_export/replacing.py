"""Writes a folder completely, then puts it in place of an earlier one: at any moment one of the two is there."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mtrack import MtrackError


@contextmanager
def replacing(out: Path, is_replaceable: Callable[[Path], bool]) -> Iterator[Path]:
    """Give a new folder, which becomes `out` when the block ends without an exception.

    Raises MtrackError if `out` exists and is neither empty nor replaceable, or if something cannot be written.
    """
    out = out.resolve()
    if out.exists() and not (out.is_dir() and (is_replaceable(out) or not any(out.iterdir()))):
        raise MtrackError(f"{out} exists, and mtrack did not export it: give another folder with -o")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        making = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}-"))
    except OSError as error:
        raise MtrackError(f"cannot create {out}: {error.strerror or error}") from error
    try:
        (making / "new").mkdir()
        yield making / "new"
        if out.exists():
            out.rename(making / "old")
        try:
            (making / "new").rename(out)
        except OSError:
            if (making / "old").exists():
                (making / "old").rename(out)
            raise
    except OSError as error:
        raise MtrackError(f"cannot write {error.filename or out}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(making, ignore_errors=True)
