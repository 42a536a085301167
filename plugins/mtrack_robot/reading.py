"""Reads robot.toml strictly: every problem is reported with its line."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs

from mtrack import MtrackError, RecipeError
from mtrack.errors import Problem, did_you_mean
from mtrack.recipe.keypath import KeyPath, dotted, parse
from mtrack.recipe.lines import key_lines
from mtrack_robot.description import Frame, Gains, Joint, RobotDescription, Sole

_MAX_BYTES = 256 * 1024
_MISSING = object()


def read_description(path: Path) -> RobotDescription:
    """Return the description in a robot.toml. Raises MtrackError, with the line of each problem."""
    name = str(path)
    try:
        raw = path.read_bytes()[: _MAX_BYTES + 1]
        if len(raw) > _MAX_BYTES:
            raise MtrackError(f"{name}: larger than {_MAX_BYTES // 1024} KiB, which is too large for a robot file")
        text = raw.decode("utf-8-sig")
        data = parse(text)
    except OSError as error:
        raise MtrackError(f"cannot read the robot {name}: {error.strerror or error}") from None
    except ValueError as error:
        message, line = getattr(error, "msg", str(error)), getattr(error, "lineno", None)
        raise RecipeError(name, [Problem("", f"not valid TOML: {message}", line=line)]) from None
    reader = _TableReader(name, key_lines(text))
    found = reader.description(path, data)
    if reader.problems or found is None:
        raise RecipeError(name, reader.problems)
    return found


class _TableReader:
    """Builds a description from parsed TOML and collects problems."""

    def __init__(self, name: str, lines: Mapping[KeyPath, int]) -> None:
        """Keep the name of the file and the line of each key."""
        self.name, self.lines, self.problems = name, lines, list[Problem]()

    def description(self, path: Path, data: dict[str, Any]) -> RobotDescription | None:
        """Return the description, or None if a problem was found."""
        data = dict(data)
        parts: dict[str, Any] = {"file": path}
        parts["joints"] = tuple(self._members(data.pop("joints", {}), "joints", Joint).values())
        parts["frames"] = tuple(self._members(data.pop("frames", {}), "frames", Frame).values())
        parts["soles"] = self._members(data.pop("soles", {}), "soles", Sole)
        parts["gains"] = self._table(("gains",), data.pop("gains", {}), Gains)
        found = self._table((), data, RobotDescription, parts)
        if found is None:
            return None
        robot: RobotDescription = attrs.evolve(found, model=path.parent / found.model.expanduser())
        return robot

    def _members(self, table: object, key: str, cls: type) -> dict[str, Any]:
        """Return an instance of a class for each member of a table, by name."""
        if not isinstance(table, dict):
            self._add((key,), "expected a table")
            return {}
        is_named = "name" in (field.name for field in attrs.fields(cls))
        made = {
            name: self._table((key, name), value, cls, {"name": name} if is_named else {})
            for name, value in table.items()
        }
        return {name: one for name, one in made.items() if one is not None}

    def _table(self, at: KeyPath, table: object, cls: type, given: Mapping[str, Any] | None = None) -> Any:
        """Return an instance of a class from a table, or None; `given` are fields that the table must not set."""
        if not isinstance(table, dict):
            self._add(at, "expected a table")
            return None
        given = given or {}
        hints = typing.get_type_hints(cls)
        fields = {field.name: field for field in attrs.fields(cls) if field.name not in given}
        for key in table.keys() - fields.keys():
            hint = did_you_mean(key, fields)
            self._add((*at, key), f"unknown key; {hint}" if hint else f"unknown key; known: {', '.join(fields)}")
        values, is_complete = dict(given), True
        for name, field in fields.items():
            value = table.get(name, _MISSING)
            if value is _MISSING:
                if field.default is attrs.NOTHING:
                    self._add(at, f"'{name}' is missing")
                    is_complete = False
                continue
            try:
                values[name] = _converted(value, hints[name])
            except ValueError as error:
                self._add((*at, name), str(error))
                is_complete = False
        return cls(**values) if is_complete else None

    def _add(self, at: KeyPath, message: str) -> None:
        line = next((self.lines[at[:n]] for n in range(len(at), 0, -1) if at[:n] in self.lines), None)
        self.problems.append(Problem(dotted(at) if at else "", message, line=line))


def _converted(value: object, hint: Any) -> Any:
    """Return a value of TOML as the type of a field. Raises ValueError."""
    origin, members = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return _converted(value, next(member for member in members if member is not type(None)))
    if origin is typing.Literal:
        if value not in members:
            raise ValueError(f"expected one of {', '.join(map(repr, members))}, not {value!r}")
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise ValueError(f"expected a list, not {value!r}")
        if members[-1] is not Ellipsis and len(value) != len(members):
            raise ValueError(f"expected {len(members)} values, not {len(value)}")
        return tuple(_converted(member, members[0]) for member in value)
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            raise ValueError(f"expected a table, not {value!r}")
        return {key: _converted(member, members[1]) for key, member in value.items()}
    return _SCALARS[hint](value)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"expected a number, not {value!r}")
    if not abs(value) < 1e9:
        raise ValueError(f"expected a finite number below 1e9, not {value!r}")
    return float(value)


def _index(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"expected an index, 0 or larger, not {value!r}")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected text in quotes, not {value!r}")
    return value


_SCALARS: Mapping[Any, Callable[[object], Any]] = {
    float: _number,
    int: _index,
    str: _text,
    Path: lambda value: Path(_text(value)),
}
