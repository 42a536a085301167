"""A run directory: its short name for messages, and the lock that keeps a second run out of it."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mtrack.errors import CheckpointError, MtrackError

SEEDS = "seeds.json"
"""File of the plan in a directory of several seeds, see `mtrack.run.seeds`."""


def short(path: Path) -> Path:
    """Return a path as a user would type it: relative to the working directory if it is below it."""
    try:
        return path.relative_to(Path.cwd())
    except (OSError, ValueError):
        return path


def write_atomically(file: Path, text: str) -> None:
    """Write a file so that after a crash it has the old text or the new one. Raises OSError."""
    new = file.with_name(f".{file.name}.new")
    with new.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    new.replace(file)


def is_of_seeds(place: Path) -> bool:
    """Return whether a place is the directory of several seeds (`mtrack run --seeds`), each of them a run."""
    return (place / SEEDS).is_file()


def require_one_run(place: Path) -> None:
    """Raise MtrackError if a place is the directory of several seeds, of which the user must choose one."""
    if is_of_seeds(place):
        runs = ", ".join(str(short(run)) for run in sorted(place.glob("seed_*/"))) or "none has started yet"
        raise MtrackError(f"{short(place)} holds the runs of several seeds, and this needs one run: {runs}")


def run_of(place: Path) -> Path:
    """Return the run directory that a place is, or that a checkpoint belongs to. Raises CheckpointError."""
    for folder in (place, *place.absolute().parents[:2]):
        if (folder / "recipe.toml").is_file():
            return folder
    raise CheckpointError(f"{place} is not a run directory: recipe.toml is missing; `mtrack run` writes runs to runs/")


LOCK_NOTE = ".lock.json"
_PATIENCE_S = 0.2  # `is_locked` in another process may hold the lock for a moment


@contextmanager
def locked(directory: Path, launchers: Collection[str] = ()) -> Iterator[None]:
    """Lock a run directory for this process. Raises MtrackError naming the process that has locked it.

    `launchers` identify what started this process and may restart it, see `was_locked_under`.
    """
    lock, holder = FileLock(directory / ".lock"), directory / LOCK_NOTE
    try:
        lock.acquire(timeout=_PATIENCE_S, poll_interval=0.02)
    except Timeout:
        pid, started = lock_holder(directory)
        who = f"process {pid or '?'}, since {started or '?'}"
        raise MtrackError(f"{short(directory)} is in use by another run ({who})") from None
    try:
        holder.write_text(
            json.dumps({**_this_process(), "started": time.strftime("%Y-%m-%d %H:%M:%S"), "launchers": list(launchers)})
        )
        yield
    finally:
        lock.release()


def was_locked_under(directory: Path, launchers: Collection[str]) -> bool:
    """Return whether the last process that locked a run directory is another one, started by one of these launchers."""
    note = _note(directory / LOCK_NOTE)
    noted = note.get("launchers")
    is_of_launcher = isinstance(noted, list) and not set(launchers).isdisjoint(map(str, noted))
    return is_of_launcher and not note.items() >= _this_process().items()


def _this_process() -> dict[str, Any]:
    return {"pid": os.getpid(), "host": platform.node()}


def is_locked(directory: Path) -> bool:
    """Return whether a live process has locked a run directory; nothing is written, and no run is kept from it."""
    file = directory / ".lock"
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except OSError:  # it has never been locked
        return False
    try:
        import fcntl  # noqa: PLC0415  not on Windows

        # shared, so that two overviews do not see each other's test
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except ImportError:
        return _is_held(file)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _is_held(lock: Path) -> bool:
    """Return whether a lock is held, by holding it for a moment."""
    try:
        with FileLock(lock, timeout=0):
            return False
    except Timeout:
        return True


def lock_holder(directory: Path) -> tuple[int | None, str]:
    """Return number and start time of the process that has locked a run directory last; None or "" if unknown."""
    who = _note(directory / LOCK_NOTE)
    pid, started = who.get("pid"), who.get("started")
    return (pid if isinstance(pid, int) else None), (started if isinstance(started, str) else "")


def _note(file: Path) -> dict[str, Any]:
    """Return what the process that locked a run directory last wrote about itself, as far as it can be read."""
    try:
        return dict(json.loads(file.read_bytes()))
    except (OSError, ValueError, TypeError, RecursionError):
        return {}
