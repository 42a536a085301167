"""Read and write motion files: one clip in a self-describing .npz without pickles, written atomically."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtrack import Clip, MotionError
from mtrack_motion.clip import check_clip, content_hash, single
from mtrack_motion.npz import member_shapes, read_npz

SCHEMA_VERSION = 1
_REQUIRED = ("name", "fps", "joint_names", "root_pos", "root_quat_wxyz", "joint_pos")

Arrays = Mapping[str, NDArray[np.generic]]


def read_clip(path: Path) -> Clip:
    """Return the clip of a motion file. Raises MotionError that names file, place and remedy, in one line."""
    require_motion_file(path)
    arrays = read_npz(path)
    if (version := _number(arrays, "schema_version", path)) != SCHEMA_VERSION:
        raise MotionError(
            f"{path}: has schema version {version:g}, but this mtrack reads {SCHEMA_VERSION}; update mtrack, or import "
            "the motion again"
        )
    for member in _REQUIRED:
        if member not in arrays:
            raise MotionError(f"{path}: has no member '{member}'; import the motion again")
    clip = Clip(
        name=_text(arrays, "name", path),
        fps=_number(arrays, "fps", path),
        joint_names=_names(arrays, path),
        root_pos=_table(arrays, "root_pos", path),
        root_quat_wxyz=_table(arrays, "root_quat_wxyz", path),
        joint_pos=_table(arrays, "joint_pos", path),
        source=_text(arrays, "source", path),
        licence=_text(arrays, "licence", path),
    )
    check_clip(clip, str(path))
    stored = _text(arrays, "sha256", path)
    if stored and stored != content_hash(clip):
        raise MotionError(f"{path}: its content does not match its hash; import the motion again")
    return clip


def require_motion_file(path: Path) -> None:
    """Raise MotionError for a file of another kind, saying what it is and how to import it."""
    if path.is_file() and "schema_version" not in member_shapes(path):
        from mtrack_motion.recognition import not_a_motion_file  # noqa: PLC0415  the importers, for this message only

        raise MotionError(not_a_motion_file(path))


def write_clip(path: Path, clip: Clip) -> None:
    """Write a clip to a motion file atomically. Raises MotionError if the clip is invalid or cannot be written."""
    check_clip(clip, f"clip '{clip.name}'")
    members = {
        "schema_version": np.array(SCHEMA_VERSION),
        "name": np.array(clip.name),
        "fps": np.array(clip.fps, np.float64),
        "joint_names": np.array(clip.joint_names),
        "root_pos": np.asarray(clip.root_pos, np.float32),
        "root_quat_wxyz": np.asarray(clip.root_quat_wxyz, np.float32),
        "joint_pos": np.asarray(clip.joint_pos, np.float32),
        "source": np.array(clip.source),
        "licence": np.array(clip.licence),
        "sha256": np.array(content_hash(clip)),
    }
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            np.savez(file, **members)  # type: ignore[arg-type]  # its keyword allow_pickle is not one of these members
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        raise MotionError(f"{path}: cannot be written: {error.strerror or error}; choose another directory") from None
    finally:
        temporary.unlink(missing_ok=True)


def file_name(clip: str) -> str:
    """Return a safe file name for a clip, without a suffix: no separators, no leading dot."""
    return re.sub(r"[^\w.+-]+", "_", clip, flags=re.ASCII).lstrip(".")[:120] or "clip"


def sync_directory(directory: Path) -> None:
    """Ensure that new names in a directory are on disk."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # otherwise a power failure can lose the new name
    finally:
        os.close(descriptor)


def _text(arrays: Arrays, member: str, path: Path) -> str:
    value = arrays.get(member, np.array(""))
    if value.dtype.kind != "U" or value.shape != ():
        raise MotionError(f"{path}: '{member}' is not text; import the motion again")
    return str(value)


def _number(arrays: Arrays, member: str, path: Path) -> float:
    value = arrays[member]
    if value.dtype.kind not in "iuf" or value.shape != ():
        raise MotionError(f"{path}: '{member}' is not a single number; import the motion again")
    return float(value)


def _names(arrays: Arrays, path: Path) -> tuple[str, ...]:
    value = arrays["joint_names"]
    if value.dtype.kind != "U" or value.ndim != 1:
        raise MotionError(f"{path}: 'joint_names' is not a list of names; import the motion again")
    return tuple(str(name) for name in value)


def _table(arrays: Arrays, member: str, path: Path) -> NDArray[np.float32]:
    value = arrays[member]
    if value.dtype.kind != "f" or value.ndim != 2:
        raise MotionError(f"{path}: '{member}' is not a table of floating-point numbers; import the motion again")
    return single(value)
