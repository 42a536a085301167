"""Find the motions inside a pickle, JSON or .npz file, and describe the rest of its content."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from mtrack import MotionError
from mtrack_formats.restricted import is_pickle, read_pickle
from mtrack_motion.file_kinds import ARRAYS

log = logging.getLogger(__name__)

MAX_JSON_BYTES = 16 * 1024 * 1024
"""Lists of numbers take ten times the memory of their text."""
_LISTED = 8
_DEPTH = 3
_NAMES = ("name", "motion_name", "clip_name")
_PERSON = (
    *("poses", "trans", "betas", "mocap_framerate", "mocap_frame_rate", "gender"),
    *("body_pose", "global_orient", "transl", "pose_body", "root_orient", "smpl_poses", "smpl_trans", "smpl_params"),
)
"""Keys of AMASS, SMPL and SMPL-X; two of them are sufficient evidence."""

Motions = dict[str, Mapping[object, object]]


def is_pickle_or_json(path: Path) -> bool:
    """Return whether a file is a pickle or JSON, judged by how it begins."""
    return is_pickle(path) or _is_json(path)


def read_values(path: Path) -> object:
    """Return the plain values and arrays of a pickle or JSON file. Raises MotionError; runs no code."""
    return _read_json(path) if _is_json(path) else read_pickle(path)


def motions_in(content: object, keys: Sequence[str], name: str) -> Motions:
    """Return the motions of a file by name: one called `name`, or several in a dictionary or list.

    They may be nested up to three levels deep: `{"motions": {"walk": {...}}}`.
    """
    if isinstance(content, Mapping) and _has(content, keys, all):
        return {name: content}
    return _among(_with_motions(content, keys, name), keys, all)


def incomplete_motions(content: object, keys: Sequence[str], name: str) -> Motions:
    """Return the entries that have only some of the keys of a motion, by name; log those that have none."""
    if isinstance(content, Mapping) and _has(content, keys, all):
        return {}
    entries = _with_motions(content, keys, name)
    others = {key: value for key, value in entries.items() if not _has(value, keys, all)}
    found = _among(others, keys, any)
    if names := [key for key in others if key not in found and key.isprintable()]:
        more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
        log.warning("ignored entries that are not motions: %s%s", ", ".join(names[:_LISTED]), more)
    return found


def explain(content: object, nearest: str, keys: Sequence[str]) -> str:
    """Return why values contain no motion of the importer `nearest`, which needs `keys`, and what to do instead."""
    present = _arrays_of(content)
    if len(present.keys() & {*_PERSON}) > 1:
        return (
            f"is a motion of a person in parameters of SMPL ({_listed(present)}), not joint angles of a robot; `mtrack "
            "motions retarget` reads them from .npz: poses [T, 156], trans [T, 3], betas, mocap_frame_rate"
        )
    missing = [key for key in keys if key not in present]
    if present and 0 < len(missing) < len(keys):
        has = ", ".join(key for key in keys if key in present)
        return f"has {has}, but not {', '.join(missing)}, which importer '{nearest}' needs; export it with all of them"
    if present and not missing:
        return "contains one motion under several names; save each motion once"
    contains = f"contains {_listed(present)}" if present else f"contains a {type(content).__name__}"
    return f"{contains}, which no importer recognises; {ARRAYS}"


def _with_motions(content: object, keys: Sequence[str], name: str, depth: int = 0) -> dict[str, object]:
    """Return the entries of the first level that contains a motion, by name; empty if no level does."""
    entries = _entries(content, name)
    if any(_has(value, keys, all) for value in entries.values()):
        return entries
    if depth + 1 < _DEPTH:
        for value in list(entries.values())[:_LISTED]:
            if deeper := _with_motions(value, keys, name, depth + 1):
                return deeper
    return {}


def _entries(content: object, name: str) -> dict[str, object]:
    """Return the entries of a mapping or list, by name; unnamed motions of a list are numbered."""
    if isinstance(content, Mapping):
        return {str(key): value for key, value in content.items()}
    if not isinstance(content, (list, tuple)) or not all(isinstance(item, Mapping) for item in content):
        return {}
    names = [next((str(item[key]) for key in _NAMES if isinstance(item.get(key), str)), "") for item in content]
    if len(content) == 1:
        return {names[0] or name: content[0]}
    named = all(names) and len(set(names)) == len(names)
    return {names[i] if named else f"{name}_{i}": item for i, item in enumerate(content)}


def _among(entries: Mapping[str, object], keys: Sequence[str], how_many: Callable[[Iterable[bool]], bool]) -> Motions:
    found = {
        name: value for name, value in entries.items() if isinstance(value, Mapping) and _has(value, keys, how_many)
    }
    # a small file can contain one motion under any number of names
    return found if len({id(motion) for motion in found.values()}) == len(found) else {}


def _has(value: object, keys: Sequence[str], how_many: Callable[[Iterable[bool]], bool]) -> bool:
    return isinstance(value, Mapping) and how_many(key in value for key in keys)


def _arrays_of(content: object) -> dict[str, str]:
    """Describe values by key, with their shapes; if there are several similar motions, those of the first one."""
    for _ in range(_DEPTH):
        inner = next(iter(_entries(content, "").values()), None)
        if not isinstance(inner, (Mapping, list, tuple)) or not _entries(inner, ""):
            break
        content = inner
    return {key: _shape_text(value) for key, value in _entries(content, "").items() if key.isprintable()}


def _shape_text(value: object) -> str:
    shape = value if isinstance(value, tuple) and all(isinstance(size, int) for size in value) else None
    if isinstance(value, np.ndarray):
        shape = value.shape
    return "" if shape is None or shape == () else f" {shape}"


def _listed(present: Mapping[str, str]) -> str:
    shown = [f"{key}{shape}" for key, shape in list(present.items())[:_LISTED]]
    return ", ".join(shown) + (", ..." if len(present) > _LISTED else "")


def _is_json(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(256).removeprefix(b"\xef\xbb\xbf").lstrip()
    except OSError:
        return False
    return head[:1] in (b"{", b"[") and head[1:].lstrip()[:1] in (b'"', b"{", b"[") and b"\0" not in head


def _read_json(path: Path) -> object:
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise MotionError(f"{path}: has more than {MAX_JSON_BYTES:,} bytes; split it into shorter clips")
        return json.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise MotionError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        detail = " ".join(str(error).split())[:120]
        raise MotionError(f"{path}: is not JSON ({detail}); copy or export the file again") from None
