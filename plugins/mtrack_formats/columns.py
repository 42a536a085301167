"""Identify the columns of a table: by the names in its header, or by position if it has no usable header."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence

import attrs
import numpy as np
from numpy.typing import NDArray

from mtrack import MotionError
from mtrack_formats.joint_orders import G1_23, G1_29
from mtrack_formats.table import NumberTable

log = logging.getLogger(__name__)

_ROOT = 7  # columns: x y z, quaternion x y z w
_WORDS_OF_JOINTS = {"joint", "joints", "pos", "position", "angle", "dof", "q", "rad", "deg", "degrees", "radians"}
_OTHER_QUANTITIES = {"vel", "velocity", "speed", "dq", "qd", "acc", "acceleration", "ddq", "torque", "tau", "effort"}
_ROTATIONS = ("rot", "euler", "orient", "rpy", "ang", "axis")
_OF_ROOT = ("root", "base", "pelvis", "torso", "trunk")
_TIMES = {"t": 1.0, "time": 1.0, "timestamp": 1.0, "times": 1.0, "seconds": 1.0, "timems": 1e-3, "ms": 1e-3}
"""Names of a time column, and its unit in s."""
_COUNTERS = {"", "frame", "frames", "index", "frameid", "frameindex", "unnamed0", "row", "id", "step"}
_FEWEST_FPS, _MOST_FPS = 1.0, 1000.0


@attrs.frozen(eq=False)
class Columns:
    """A table split into root pose and joints."""

    root_pos: NDArray[np.float64]
    """[T, 3]."""
    root_quat: NDArray[np.float64]
    """[T, 4] in the order x, y, z, w."""
    joint_pos: NDArray[np.float64]
    """[T, J]."""
    joint_names: tuple[str, ...] | None
    """Name of each joint column, if the header has names."""
    known_order: tuple[str, ...] | None
    """The documented joint order, if columns are identified by position only."""
    quat_is_named: bool
    fps: float | None


def sort_columns(table: NumberTable, joints: Sequence[str], place: str) -> Columns:
    """Return the columns of a table as root pose and joints, for a robot with these joints. Raises MotionError."""
    names = table.header or ("",) * table.values.shape[1]
    keys = [_key(name) for name in names]
    fps, left_out = table.fps, set[int]()
    if table.header is not None:
        times = [column for column, key in enumerate(keys) if key in _TIMES]
        fps = next((rate for column in times if (rate := _rate(table, column, _TIMES[keys[column]]))), fps)
        left_out = {*times, *(column for column, key in enumerate(keys) if key in _COUNTERS)}
    known = {_key(name): name for name in joints}
    found = {column: known[key] for column, key in enumerate(keys) if key in known and column not in left_out}
    rest = [column for column in range(len(names)) if column not in left_out and column not in found]
    if found:
        return _by_name(table, names, found, rest, fps, place)
    if table.header is not None:
        log.warning("the header names no joint of the robot: columns are read by position, as documented")
    return _by_place(table, rest, joints, fps, place)


def _by_name(
    table: NumberTable,
    names: Sequence[str],
    found: Mapping[int, str],
    rest: Sequence[int],
    fps: float | None,
    place: str,
) -> Columns:
    """Return the columns of a table whose header has joint names. Raises MotionError."""
    values, joint_names = table.values, tuple(found.values())
    if twice := [name for name in joint_names if joint_names.count(name) > 1]:
        raise MotionError(f"{place}: the header names {twice[0]} twice; rename or remove one of the columns")
    pos, quat = _root(names, rest)
    is_named = bool(pos or quat)
    if not is_named and len(rest) >= _ROOT and list(rest[:_ROOT]) == list(range(rest[0], rest[0] + _ROOT)):
        pos, quat = list(rest[:3]), list(rest[3:_ROOT])
        log.warning("assumed: the root is in columns %d to %d: x y z, quaternion x y z w", pos[0] + 1, quat[-1] + 1)
    if not pos or not quat:
        missing = "position (x, y, z)" if not pos else "quaternion (qx, qy, qz, qw)"
        raise MotionError(f"{place}: the header has joints, but no root {missing}; add or rename these columns")
    if others := [names[column] for column in rest if column not in (*pos, *quat)]:
        log.warning("ignored columns that are not part of a motion: %s", ", ".join(others[:8]))
    joint_pos = values[:, list(found)]
    if all(re.search(r"\bdeg|°", names[column], re.IGNORECASE) for column in found):
        log.warning("converted joints to radians: the header says that they are in degrees")
        joint_pos = np.deg2rad(joint_pos)
    return Columns(values[:, pos], values[:, quat], joint_pos, joint_names, None, is_named, fps)


def _by_place(
    table: NumberTable, columns: Sequence[int], joints: Sequence[str], fps: float | None, place: str
) -> Columns:
    """Return the columns of a table without joint names, in the documented order. Raises MotionError."""
    orders = [G1_29, G1_23] if set(G1_29) <= set(joints) else [tuple(joints)]
    values = table.values[:, list(columns)]
    if values.shape[1] - 1 in [_ROOT + len(order) for order in orders] and _counts(values[:, 0]):
        steps = np.diff(values[:, 0])
        if (steps == 1.0).all():
            log.warning("ignored column 1: it counts the frames")
        else:
            fps = _rate(table, columns[0], 1.0) or fps
        values = values[:, 1:]
    order = next((order for order in orders if values.shape[1] == _ROOT + len(order)), None)
    if order is None:
        raise MotionError(
            f"{place.split(' (', maxsplit=1)[0]}: {_wrong_width(values, len(orders[0]), [*map(len, orders)])}"
        )
    known = order if order in (G1_29, G1_23) else None
    return Columns(values[:, :3], values[:, 3:_ROOT], values[:, _ROOT:], None, known, False, fps)


def _wrong_width(values: NDArray[np.float64], joints: int, counts: Sequence[int]) -> str:
    """Return what is wrong with a table that has an unexpected number of columns, and what to do."""
    rows, width = values.shape
    expected = f"expected {_ROOT + joints} (root x y z, quaternion x y z w, {joints} joints)"
    problem = f"has {width} column{'s' if width != 1 else ''}; {expected}"
    widths = [_ROOT + count for count in counts]
    if rows in widths:
        return f"{problem}; it has {rows} rows: transpose it, so that each row is a frame"
    if width / 2 in widths and (values == np.round(values)).all():
        return f"{problem}; its numbers seem to have decimal commas: separate the columns by semicolons"
    if width in counts:
        return f"{problem}; it seems to lack the pose of the root"
    return f"{problem}, or a first column of times before them, or a header that names the joints"


def _counts(column: NDArray[np.float64]) -> bool:
    return len(column) > 1 and bool((np.diff(column) > 0.0).all())


def _rate(table: NumberTable, column: int, unit: float) -> float | None:
    """Return the frames per second of a time column; None, with a warning, if it has no valid rate."""
    steps = np.diff(table.values[:, column]) * unit
    middle = float(np.median(steps)) if len(steps) else 0.0
    rate = round(1.0 / middle, 3) if middle > 0.0 else 0.0
    if not _FEWEST_FPS <= rate <= _MOST_FPS:
        log.warning("the times in column %d have no valid frame rate", column + 1)
        return None
    if np.abs(steps - middle).max() > 0.5 * middle:
        log.warning("the times in column %d are not evenly spaced; assumed to be evenly spaced", column + 1)
    log.info("frame rate from the times in column %d: %g frames per second", column + 1, rate)
    return rate


def _root(names: Sequence[str], columns: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return the columns of the root's position (x, y, z) and quaternion (x, y, z, w) by name; empty if missing."""
    groups: dict[str, dict[str, int]] = {}
    for column in columns:
        words = _words(names[column])
        compact = "".join(word for word in words if word not in ("m", "meters", "metres"))
        if compact and compact[-1] in "xyzw" and not _OTHER_QUANTITIES & {*words}:
            groups.setdefault(compact[:-1], {})[compact[-1]] = column
    quats = {stem: [axes[axis] for axis in "xyzw"] for stem, axes in groups.items() if len(axes) == len("xyzw")}
    places = {
        stem: [axes[axis] for axis in "xyz"]
        for stem, axes in groups.items()
        if {*axes} == {*"xyz"} and not any(mark in stem for mark in _ROTATIONS)
    }
    return _one(places), _one(quats)


def _one(groups: Mapping[str, list[int]]) -> list[int]:
    """Return the only group, or the only one that is named after the root."""
    of_root = {stem: columns for stem, columns in groups.items() if any(mark in stem for mark in _OF_ROOT)}
    chosen = list((of_root if len(groups) > 1 else groups).values())
    return chosen[0] if len(chosen) == 1 else []


def _key(name: str) -> str:
    """Normalise a name so that spellings of one joint become equal, but not other quantities of that joint."""
    words = _words(name)
    return "".join(word for word in words if word not in _WORDS_OF_JOINTS) if name.strip() else ""


def _words(name: str) -> list[str]:
    """Return the words of a name without bracketed text: `LeftKnee_joint [rad]` is left, knee, joint."""
    bare = re.sub(r"[\[(].*?[\])]", "", name)
    return list(_split(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", bare).lower()))


def _split(text: str) -> Iterator[str]:
    yield from re.findall(r"[a-z]+|\d+", text)
