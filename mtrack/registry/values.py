"""Converts TOML values to typed values, strictly: it coerces nothing and collects every problem."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import attrs

from mtrack.api.fields import default_of
from mtrack.api.schedule import Schedule
from mtrack.errors import did_you_mean
from mtrack.registry.plain import plain

KeyPath = tuple[str, ...]
Fields = Mapping[str, "attrs.Attribute[Any]"]
_TOML_NAMES = {int: "an integer", float: "a number", str: "a string", list: "an array", dict: "a table"}


@attrs.frozen
class ValueProblem:
    """One problem of a value."""

    path: KeyPath
    """Path within the value."""
    message: str
    hint: str = ""


class InvalidValue(Exception):  # noqa: N818  internal: it collects the problems of nested values
    """All problems of one value."""

    def __init__(self, *problems: ValueProblem) -> None:
        """Keep the problems."""
        super().__init__(*(problem.message for problem in problems))
        self.problems = problems


def structure(value: object, annotation: Any, directory: Path) -> Any:
    """Convert a TOML value to the annotated type; paths are relative to `directory`. Raises InvalidValue."""
    kind = get_origin(annotation) or annotation
    hook = _HOOKS.get(kind) or (_nested if attrs.has(kind) else None)
    if hook is None:
        _reject(f"a recipe cannot hold a value of type {type_name(annotation)}")
    return hook(value, annotation, directory)


def structure_fields(
    fields: Fields, table: Mapping[str, object], directory_of: Callable[[str], Path]
) -> tuple[dict[str, Any], list[ValueProblem]]:
    """Return the values of fields from a table, including defaults, and all problems."""
    values: dict[str, Any] = {}
    problems: list[ValueProblem] = []
    for name, field in fields.items():
        if name in table:
            with _at(name, problems):
                values[name] = _validated(field, structure(table[name], field.type, directory_of(name)))
        elif field.default is attrs.NOTHING:
            problems.append(ValueProblem((name,), f"missing: {name} ({type_name(field.type)})"))
        else:
            values[name] = default_of(field)
    return values, problems


def describe_fields(fields: Fields) -> str:
    """Return e.g. `sigma (float, 0.3), joints (tuple[str, ...], required)`."""
    return ", ".join(f"{name} ({type_name(field.type)}, {default_text(field)})" for name, field in fields.items())


def default_text(field: attrs.Attribute[Any]) -> str:
    """Return the default of a field as text for messages."""
    if field.default is attrs.NOTHING:
        return "required"
    default = default_of(field)
    is_constant = isinstance(default, Schedule) and default == Schedule.constant(default.start)
    return f"{default.start if is_constant else default}"


def type_name(annotation: Any) -> str:
    """Return a type as text for messages: `float`, `Path | None`, `"a" | "b"`."""
    if get_origin(annotation) in (Union, types.UnionType):
        return " | ".join(type_name(member) for member in get_args(annotation))
    if get_origin(annotation) is Literal:
        return " | ".join(f'"{option}"' if isinstance(option, str) else str(option) for option in get_args(annotation))
    if annotation in (Schedule, types.NoneType):
        return "number or schedule" if annotation is Schedule else "None"
    return annotation.__name__ if isinstance(annotation, type) and not get_args(annotation) else str(annotation)


def _validated(field: attrs.Attribute[Any], value: Any) -> Any:
    """Return a value if the validator of its field accepts it. Raises InvalidValue."""
    try:
        if field.validator is not None:
            field.validator(None, field, value)
    except (ValueError, TypeError) as error:
        _reject(str(error.args[0]) if error.args else "invalid")
    except AttributeError:
        pass  # a validator that reads other fields; it runs again when the component is created
    return value


def problem_of_default(default: object, annotation: Any) -> str:
    """Return why a recipe could not set a field to its own default, or an empty string if it could."""
    is_absent = default is attrs.NOTHING or default is None
    is_infinite = isinstance(default, float) and not math.isfinite(default)  # resolved recipes omit it
    if is_absent or is_infinite:
        return ""
    try:
        structure(plain(default), annotation, Path())
    except InvalidValue as error:
        return error.problems[0].message
    return ""


@contextmanager
def _at(key: str, problems: list[ValueProblem]) -> Iterator[None]:
    """Collect the problems of the value at a key."""
    try:
        yield
    except InvalidValue as error:
        problems += [attrs.evolve(problem, path=(key, *problem.path)) for problem in error.problems]


def _reject(message: str, hint: str = "") -> typing.NoReturn:
    raise InvalidValue(ValueProblem((), message, hint))


def _expected(what: str, value: object) -> typing.NoReturn:
    got = str(value).lower() if isinstance(value, bool) else _TOML_NAMES.get(type(value), f"a {type(value).__name__}")
    _reject(f"expected {what}, got {got}")


def _exact(value: Any, annotation: Any, _: Path) -> object:
    if type(value) is not annotation:  # not isinstance: True is an int
        _expected("true or false" if annotation is bool else _TOML_NAMES[annotation], value)
    if annotation is int and not -(2**63) <= value < 2**63:  # tensors hold no others
        _reject("expected an integer of at most 64 bits")
    return value


def _number(value: Any, _: object = None, __: object = None) -> float:
    if type(value) not in (int, float):
        _expected("a number", value)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    return number if math.isfinite(number) else _reject("expected a finite number")


def _path(value: object, _: object, directory: Path) -> Path:
    return directory / Path(value).expanduser() if isinstance(value, str) else _expected("a path, in quotes", value)


def _literal(value: Any, annotation: Any, _: Path) -> Any:
    options = get_args(annotation)
    if not any(type(value) is type(option) and value == option for option in options):
        remedy = did_you_mean(str(value), map(str, options))
        _reject(f"expected one of {type_name(annotation).replace(' | ', ', ')}", remedy)
    return value


def _union(value: object, annotation: Any, directory: Path) -> Any:
    members = [member for member in get_args(annotation) if member is not types.NoneType]  # TOML has no null
    if len(members) == 1:
        return structure(value, members[0], directory)
    for member in members:
        with suppress(InvalidValue):
            return structure(value, member, directory)
    return _expected(type_name(annotation), value)


def _array(value: object, annotation: Any, directory: Path) -> Any:
    if not isinstance(value, list):
        _expected("an array", value)
    kind, members = get_origin(annotation) or annotation, get_args(annotation) or (Any, ...)
    if kind is not tuple or members[-1:] == (...,):
        members = members[:1] * len(value)
    elif len(value) != len(members):
        _reject(f"expected {len(members)} values, got {len(value)}")
    values = _each(((str(index), *pair) for index, pair in enumerate(zip(value, members, strict=True))), directory)
    return values if kind is list else tuple(values)


def _table(value: object, annotation: Any, directory: Path) -> dict[str, Any]:
    if not isinstance(value, dict):
        members = get_args(annotation)
        _expected(f"a table {{ NAME = {type_name(members[1])} }}" if members else "a table", value)
    inner = (get_args(annotation) or (str, Any))[1]
    return dict(zip(value, _each(((key, member, inner) for key, member in value.items()), directory), strict=True))


def _each(items: Iterator[tuple[str, object, Any]], directory: Path) -> list[Any]:
    """Convert each value, given with its key and type. Raises InvalidValue with the problems of all."""
    values: list[Any] = []
    problems: list[ValueProblem] = []
    for key, value, annotation in items:
        with _at(key, problems):
            values.append(structure(value, annotation, directory))
    if problems:
        raise InvalidValue(*problems)
    return values


def _schedule(value: object, _: object, directory: Path) -> Any:
    if not isinstance(value, dict):
        return Schedule.constant(_number(value))
    fields = attrs.fields_dict(attrs.resolve_types(Schedule))
    return _made(Schedule, {"from": fields["start"], "to": fields["end"], "shape": fields["shape"]}, value, directory)


def _nested(value: object, cls: Any, directory: Path) -> Any:
    fields = attrs.fields(attrs.resolve_types(cls))
    return _made(cls, {field.name: field for field in fields if field.init}, value, directory)


def _made(cls: type[Any], fields: Fields, value: object, directory: Path) -> Any:
    """Create an attrs object from a table with the keys of `fields` and no others. Raises InvalidValue."""
    if not isinstance(value, dict):
        _expected(f"a table ({', '.join(fields)})", value)
    values, problems = structure_fields(fields, value, lambda _: directory)
    unknown, keys = [key for key in value if key not in fields], f"keys: {', '.join(fields)}"
    problems += [ValueProblem((key,), f"unknown key '{key}'", did_you_mean(key, fields) or keys) for key in unknown]
    if problems:
        raise InvalidValue(*problems)
    try:
        return cls(**{fields[key].alias or key: value for key, value in values.items()})
    except (ValueError, TypeError) as error:
        _reject(str(error))


_HOOKS: dict[Any, Callable[[Any, Any, Path], Any]] = {
    **dict.fromkeys((bool, int, str), _exact),
    **dict.fromkeys((Union, types.UnionType), _union),
    **dict.fromkeys((tuple, list, Sequence), _array),
    **dict.fromkeys((dict, Mapping), _table),
    **dict.fromkeys((Any, object), lambda value, _, __: value),
    float: _number,
    Path: _path,
    Literal: _literal,
    Schedule: _schedule,
}
