"""Finds the parts of a person among the joint names of a file: by the package's conventions or by the user's table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

import attrs
import tomli

from mtrack import MotionError
from mtrack.errors import did_you_mean
from mtrack_retarget.person import MIDDLE_PARTS, REQUIRED_PARTS, SIDE_PARTS, SIDES

PARTS = (*MIDDLE_PARTS, *(f"{side}_{part}" for side in SIDES for part in SIDE_PARTS))
_LISTED = 120
TABLE_HELP = (
    'write a table of the parts, such as pelvis = "Hips", left_hip = "LeftUpLeg", left_knee = "LeftLeg", in a TOML '
    "file, and give it with --names FILE"
)


@attrs.frozen
class Naming:
    """The joint of each part, as an index, and how it was found."""

    convention: str
    joints: Mapping[str, int]
    assumed: tuple[str, ...] = ()


@attrs.frozen
class _Convention:
    title: str
    parts: Mapping[str, tuple[str, ...]]
    """Canonical names of each part; the first that a file has is used."""
    marks: frozenset[str]


@attrs.frozen
class _Match:
    convention: _Convention
    joints: Mapping[str, int]
    score: int

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(part for part in REQUIRED_PARTS if part not in self.joints)


def by_convention(names: Sequence[str]) -> Naming | None:
    """Return the parts by the convention that has the most of a file's names; None if none has all that are needed."""
    match = _best(names)
    return None if match is None or match.missing else Naming(match.convention.title, match.joints)


def why_not_named(names: Sequence[str]) -> str:
    """Return which parts cannot be found by name, what the names are, and what to do."""
    match = _best(names)
    listed = ", ".join(names[:_LISTED]) + (", ..." if len(names) > _LISTED else "")
    if match is None or len(match.missing) > len(REQUIRED_PARTS) // 2:
        return f"the joint names fit no convention that mtrack knows; {TABLE_HELP}. The joints are: {listed}"
    missing = ", ".join(match.missing)
    return (
        f"the joint names are most like {match.convention.title}, but these parts are missing: {missing}; if the file "
        f"has them under other names, {TABLE_HELP}. The joints are: {listed}"
    )


def by_table(path: Path, names: Sequence[str]) -> Naming:
    """Return the parts by the user's table, part = "joint". Raises MotionError that names file, key and remedy."""
    try:
        table = tomli.loads(path.read_text("utf-8"))
    except OSError as error:
        raise MotionError(f"{path}: cannot be read: {error.strerror or error}; check the path of --names") from None
    except (tomli.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MotionError(f"{path}: is not TOML ({error}); {TABLE_HELP}") from None
    joints: dict[str, int] = {}
    for part, joint in table.items():
        if part not in PARTS:
            hint = did_you_mean(part, PARTS) or f"parts: {', '.join(PARTS)}"
            raise MotionError(f"{path}: '{part}' is not a part of a person; {hint}")
        if not isinstance(joint, str) or joint not in names:
            hint = did_you_mean(str(joint), names) or f"joints: {', '.join(names[:_LISTED])}"
            raise MotionError(f"{path}: {part} = {joint!r}: the motion has no such joint; {hint}")
        index = names.index(joint)
        if other := next((known for known, used in joints.items() if used == index), ""):
            raise MotionError(f"{path}: '{joint}' is used for {other} and for {part}; each part needs its own joint")
        joints[part] = index
    if missing := [part for part in REQUIRED_PARTS if part not in joints]:
        raise MotionError(f"{path}: has no {', '.join(missing)}; add a joint of the file for each")
    return Naming(f"the table {path}", joints)


def canonical(name: str) -> str:
    """Return a name in lower case without spaces and punctuation."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _best(names: Sequence[str]) -> _Match | None:
    """Return the convention with the most parts and marks among some names, all required parts first."""
    written: dict[str, int] = {}
    for index, name in enumerate(names):
        written.setdefault(canonical(name), index)
    matches = [match for convention in _conventions() for match in _matches(convention, written)]
    return max(matches, key=lambda match: (-len(match.missing), match.score), default=None)


def _matches(convention: _Convention, written: Mapping[str, int]) -> Iterator[_Match]:
    """Yield a match for each beginning that all names of a file may share."""
    ends = convention.parts["pelvis"]
    prefixes = {name.removesuffix(end) for name in written for end in ends if name.endswith(end)}
    for prefix in sorted(prefixes, key=len):
        joints: dict[str, int] = {}
        score = sum(prefix + mark in written for mark in convention.marks)
        for part, alternatives in convention.parts.items():
            found = next((name for name in alternatives if prefix + name in written), None)
            if found is not None and written[prefix + found] not in joints.values():
                joints[part] = written[prefix + found]
                score += 2 if found == alternatives[0] else 1
        yield _Match(convention, joints, score)


@cache
def _conventions() -> tuple[_Convention, ...]:
    tables = tomli.loads(files("mtrack_retarget").joinpath("conventions.toml").read_text("utf-8"))
    return tuple(_convention(table) for table in tables.values())


def _convention(table: Mapping[str, list[str]]) -> _Convention:
    parts = {part: tuple(map(canonical, table[part])) for part in MIDDLE_PARTS}
    for side, written in zip(SIDES, table["sides"], strict=True):
        for part in SIDE_PARTS:
            parts[f"{side}_{part}"] = tuple(canonical(name.replace("*", written)) for name in table[part])
    return _Convention(str(table["title"]), parts, frozenset(map(canonical, table.get("marks", []))))
