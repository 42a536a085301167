"""Parses the HIERARCHY of a BVH file: joints, offsets and channels, with an error that names the line."""

from __future__ import annotations

import re
from collections.abc import Iterator

import attrs
import numpy as np

from mtrack import MotionError
from mtrack_retarget.robot_motion import Array

MAX_JOINTS = 1000
_AXES = "XYZ"
_BETWEEN = re.compile(r"([{}])|\s(?=(?:ROOT|JOINT|End Site|OFFSET|CHANNELS)\s+\S)")
"""Where a line has several statements: at braces and before keywords that something follows."""
_CHANNEL = re.compile(r"([XYZ])(position|rotation)", re.IGNORECASE)


@attrs.define(eq=False)
class BvhJoint:
    """One joint, or the end of a chain (End Site), which has no channels."""

    name: str
    parent: int
    """Index of its parent; -1 for a root."""
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """From its parent, in the parent's axes."""
    positions: tuple[tuple[int, int], ...] = ()
    """Axis (0 to 2) and column of each channel that is a position."""
    rotations: tuple[tuple[int, int], ...] = ()
    """Axis and column of each channel that is a rotation, in the order of multiplication from the left."""


@attrs.frozen(eq=False)
class Hierarchy:
    """The joints of a file, each after its parent."""

    joints: tuple[BvhJoint, ...]
    num_columns: int
    """Numbers in each line of the motion."""

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each joint."""
        return tuple(joint.name for joint in self.joints)

    @property
    def parents(self) -> tuple[int, ...]:
        """Index of the parent of each joint."""
        return tuple(joint.parent for joint in self.joints)

    @property
    def offsets(self) -> Array:
        """Offset of each joint from its parent, [K, 3]."""
        return np.array([joint.offset for joint in self.joints])


def read_hierarchy(lines: Iterator[tuple[int, str]], place: str) -> Hierarchy:
    """Parse numbered lines up to the line MOTION, which is consumed. Raises MotionError with the line."""
    parser = _Parser(place)
    for number, line in lines:
        if line.strip().upper() == "MOTION":
            return parser.finished(number)
        for statement in (part.strip() for part in _BETWEEN.split(line) if part and not part.isspace()):
            parser.read(statement, number)
    raise MotionError(f"{place}: ends in its hierarchy, before the line MOTION; copy or export the file again")


class _Parser:
    """The joints read so far, and the path from the root to the open one."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.joints: list[BvhJoint] = []
        self.path: list[int] = []
        self.columns = 0
        self.names: set[str] = set()
        self.announced = False
        """Whether a joint was named whose brace has not been opened."""

    def read(self, statement: str, number: int) -> None:
        """Read one statement or brace."""
        keyword, rest = (*statement.split(None, 1), "")[:2]
        match keyword.upper():
            case "HIERARCHY" if not self.joints:
                pass
            case "{" | "}":
                self.brace(keyword, number)
            case "ROOT" if not self.path:
                self.add(rest or "root", number)
            case "JOINT":
                self.add(rest, number)
            case "END" | "ENDSITE" if self.path:
                self.add(f"{self.joints[self.path[-1]].name}_end", number)
            case "OFFSET":
                self.open_joint(number).offset = self.offset(rest.split(), number)
            case "CHANNELS":
                self.set_channels(self.open_joint(number), rest.split(), number)
            case _:
                raise self.error(number, f"has {statement[:40]!r}, which is not a part of a hierarchy here")

    def brace(self, brace: str, number: int) -> None:
        """Open the joint that was announced, or close the open one."""
        if brace == "{" and self.announced:
            self.path.append(len(self.joints) - 1)
            self.announced = False
        elif brace == "}" and self.path and not self.announced:
            self.path.pop()
        else:
            raise self.error(number, f"has a '{brace}' that belongs to no joint")

    def add(self, name: str, number: int) -> None:
        """Add a joint below the open one; a name that occurred before gets a number."""
        if self.announced or not name or not name.isprintable():
            raise self.error(number, "does not name a joint, or follows a joint without '{'")
        if len(self.joints) >= MAX_JOINTS:
            raise self.error(number, f"has more than {MAX_JOINTS} joints")
        unique, count = name, 2
        while unique in self.names:
            unique, count = f"{name}_{count}", count + 1
        self.names.add(unique)
        self.joints.append(BvhJoint(unique, self.path[-1] if self.path else -1))
        self.announced = True

    def open_joint(self, number: int) -> BvhJoint:
        """Return the joint whose brace is open."""
        if not self.path or self.announced:
            raise self.error(number, "is not inside the braces of a joint")
        return self.joints[self.path[-1]]

    def offset(self, words: list[str], number: int) -> tuple[float, float, float]:
        """Return the three numbers of an offset."""
        try:
            x, y, z = map(float, words)
        except ValueError:
            raise self.error(number, "needs three numbers after OFFSET") from None
        if not np.isfinite((x, y, z)).all():
            raise self.error(number, "has an OFFSET that is not finite")
        return x, y, z

    def set_channels(self, joint: BvhJoint, words: list[str], number: int) -> None:
        """Assign the next columns to the channels of a joint."""
        found = [_CHANNEL.fullmatch(word) for word in words[1:]]
        if not words or words[0] != str(len(found)) or not all(found) or joint.positions or joint.rotations:
            raise self.error(number, "needs CHANNELS, their number, and as many names such as Xposition or Zrotation")
        kinds: dict[str, list[tuple[int, int]]] = {"position": [], "rotation": []}
        for match in filter(None, found):
            kinds[match[2].lower()].append((_AXES.index(match[1].upper()), self.columns))
            self.columns += 1
        joint.positions, joint.rotations = tuple(kinds["position"]), tuple(kinds["rotation"])

    def finished(self, number: int) -> Hierarchy:
        """Return the hierarchy, at the line MOTION."""
        if self.path or self.announced:
            raise self.error(number, "begins the motion before all braces are closed")
        if not self.columns:
            raise self.error(number, "follows a hierarchy without channels")
        return Hierarchy(tuple(self.joints), self.columns)

    def error(self, number: int, what: str) -> MotionError:
        """Return an error that names the line."""
        return MotionError(f"{self.place}:{number}: {what}; copy or export the file again")
