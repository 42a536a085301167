"""From TOML values to typed ones, strictly: no silent coercion, every flaw collected, every validator run by itself."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import attrs

from mtrack.api.schedule import Schedule
from mtrack.errors import did_you_mean
from mtrack.recipe.keypath import KeyPath
from mtrack.recipe.write import plain

Fields = Mapping[str, "attrs.Attribute[Any]"]
_TOML_NAMES = {int: "an integer", float: "a number", str: "a string", list: "an array", dict: "a table"}


@attrs.frozen
class Flaw:
    """One thing wrong with a value."""

    path: KeyPath
    """Place within the value."""
    message: str
    hint: str = ""


class Flaws(Exception):  # noqa: N818  carries what is wrong from nested values outwards; never seen by a user
    """Everything wrong with one value."""

    def __init__(self, *flaws: Flaw) -> None:
        """Keep the flaws."""
        super().__init__(*(flaw.message for flaw in flaws))
        self.flaws = flaws


def structure(value: object, annotation: Any, directory: Path) -> Any:
    """Return a TOML value as the annotated type; paths are relative to `directory`. Raises Flaws."""
    kind = get_origin(annotation) or annotation
    hook = _HOOKS.get(kind) or (_nested if attrs.has(kind) else None)
    if hook is None:
        _refuse(f"a recipe cannot hold a value of type {type_name(annotation)}")
    return hook(value, annotation, directory)


def structure_fields(
    fields: Fields, table: Mapping[str, object], directory_of: Callable[[str], Path]
) -> tuple[dict[str, Any], list[Flaw]]:
    """Return the values of fields from a table, defaults filled in, and all that is wrong with them."""
    values: dict[str, Any] = {}
    flaws: list[Flaw] = []
    for name, field in fields.items():
        if name in table:
            with _at(name, flaws):
                values[name] = _validated(field, structure(table[name], field.type, directory_of(name)))
        elif field.default is attrs.NOTHING:
            flaws.append(Flaw((name,), f"missing: {name} ({type_name(field.type)})"))
        else:
            values[name] = default_of(field)
    return values, flaws


def describe_fields(fields: Fields) -> str:
    """Return e.g. `sigma (float, 0.3), joints (tuple[str, ...], required)`."""
    return ", ".join(f"{name} ({type_name(field.type)}, {default_text(field)})" for name, field in fields.items())


def default_text(field: attrs.Attribute[Any]) -> str:
    """Return the default of a field as a reader wants it."""
    if field.default is attrs.NOTHING:
        return "required"
    default = default_of(field)
    is_constant = isinstance(default, Schedule) and default == Schedule.constant(default.start)
    return f"{default.start if is_constant else default}"


def type_name(annotation: Any) -> str:
    """Return a type as a reader wants it: `float`, `Path | None`, `"a" | "b"`."""
    if get_origin(annotation) in (Union, types.UnionType):
        return " | ".join(type_name(member) for member in get_args(annotation))
    if get_origin(annotation) is Literal:
        return " | ".join(f'"{option}"' if isinstance(option, str) else str(option) for option in get_args(annotation))
    named = {Schedule: "number or schedule", types.NoneType: "None"}
    plain = annotation.__name__ if isinstance(annotation, type) and not get_args(annotation) else str(annotation)
    return named.get(annotation, plain)


def _validated(field: attrs.Attribute[Any], value: Any) -> Any:
    """Return a value its field's own validator accepts. Raises Flaws."""
    try:
        if field.validator is not None:
            field.validator(None, field, value)
    except (ValueError, TypeError) as error:
        _refuse(str(error.args[0]) if error.args else "not valid")
    except AttributeError:
        pass  # a validator that looks at other fields; it runs again when the component is made
    return value


def default_of(field: attrs.Attribute[Any]) -> Any:
    """Return the default of a field, made if a factory makes it; attrs.NOTHING if it has none."""
    default: Any = field.default
    return default.factory() if hasattr(default, "takes_self") else default


def problem_of_default(default: object, annotation: Any) -> str:
    """Return why a recipe could not give a default explicitly; "" if it could, or if there is no default."""
    is_absent = default is attrs.NOTHING or default is None
    is_infinite = isinstance(default, float) and not math.isfinite(default)  # recipes leave it out
    if is_absent or is_infinite:
        return ""
    try:
        structure(plain(default), annotation, Path())
    except Flaws as error:
        return error.flaws[0].message
    return ""


@contextmanager
def _at(key: str, flaws: list[Flaw]) -> Iterator[None]:
    """Collect the flaws of what is at a key."""
    try:
        yield
    except Flaws as error:
        flaws += [attrs.evolve(flaw, path=(key, *flaw.path)) for flaw in error.flaws]


def _refuse(message: str, hint: str = "") -> typing.NoReturn:
    raise Flaws(Flaw((), message, hint))


def _expected(what: str, value: object) -> typing.NoReturn:
    got = str(value).lower() if isinstance(value, bool) else _TOML_NAMES.get(type(value), f"a {type(value).__name__}")
    _refuse(f"expected {what}, got {got}")


def _exact(value: object, annotation: Any, _: Path) -> object:
    if type(value) is not annotation:  # not isinstance: True is an int
        _expected("true or false" if annotation is bool else _TOML_NAMES[annotation], value)
    return value


def _number(value: Any, _: object = None, __: object = None) -> float:
    if type(value) not in (int, float):
        _expected("a number", value)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    return number if math.isfinite(number) else _refuse("expected a finite number")


def _path(value: object, _: object, directory: Path) -> Path:
    return directory / Path(value).expanduser() if isinstance(value, str) else _expected("a path, in quotes", value)


def _literal(value: Any, annotation: Any, _: Path) -> Any:
    options = get_args(annotation)
    if not any(type(value) is type(option) and value == option for option in options):
        remedy = did_you_mean(str(value), map(str, options))
        _refuse(f"expected one of {type_name(annotation).replace(' | ', ', ')}", remedy)
    return value


def _union(value: object, annotation: Any, directory: Path) -> Any:
    members = [member for member in get_args(annotation) if member is not types.NoneType]  # TOML has no null
    if len(members) == 1:
        return structure(value, members[0], directory)
    for member in members:
        try:
            return structure(value, member, directory)
        except Flaws:
            continue
    return _expected(type_name(annotation), value)


def _array(value: object, annotation: Any, directory: Path) -> Any:
    if not isinstance(value, list):
        _expected("an array", value)
    kind, members = get_origin(annotation) or annotation, get_args(annotation) or (Any, ...)
    if kind is not tuple or members[-1:] == (...,):
        members = members[:1] * len(value)
    elif len(value) != len(members):
        _refuse(f"expected {len(members)} values, got {len(value)}")
    values = _each(((str(place), *pair) for place, pair in enumerate(zip(value, members, strict=True))), directory)
    return values if kind is list else tuple(values)


def _table(value: object, annotation: Any, directory: Path) -> dict[str, Any]:
    if not isinstance(value, dict):
        _expected("a table", value)
    inner = (get_args(annotation) or (str, Any))[1]
    return dict(zip(value, _each(((key, member, inner) for key, member in value.items()), directory), strict=True))


def _each(items: Iterator[tuple[str, object, Any]], directory: Path) -> list[Any]:
    """Return each value (with its key) as its annotated type. Raises Flaws with those of all."""
    values: list[Any] = []
    flaws: list[Flaw] = []
    for key, value, annotation in items:
        with _at(key, flaws):
            values.append(structure(value, annotation, directory))
    if flaws:
        raise Flaws(*flaws)
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
    """Return an attrs class made from a table that may have the keys of `fields` and no others. Raises Flaws."""
    if not isinstance(value, dict):
        _expected(f"a table ({', '.join(fields)})", value)
    values, flaws = structure_fields(fields, value, lambda _: directory)
    flaws += [Flaw((key,), f"unknown key '{key}'", did_you_mean(key, fields)) for key in value if key not in fields]
    if flaws:
        raise Flaws(*flaws)
    try:
        return cls(**{fields[key].alias or key: value for key, value in values.items()})
    except (ValueError, TypeError) as error:
        _refuse(str(error))


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
