"""From TOML values to typed ones, strictly: no silent coercion, every flaw collected, every validator run by itself."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import attrs
import cattrs

from mtrack.errors import did_you_mean
from mtrack.keypath import KeyPath
from mtrack.schedule import Schedule

Fields = Mapping[str, "attrs.Attribute[Any]"]


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
    try:
        return _converter(directory).structure(value, annotation)
    except cattrs.StructureHandlerNotFoundError:
        raise Flaws(Flaw((), f"a recipe cannot hold a value of type {type_name(annotation)}")) from None


def structure_fields(
    fields: Fields, table: Mapping[str, object], directory_of: Callable[[str], Path]
) -> tuple[dict[str, Any], list[Flaw]]:
    """Return the values of fields from a table, defaults filled in, and all that is wrong with them."""
    values: dict[str, Any] = {}
    flaws: list[Flaw] = []
    for name, field in fields.items():
        if name in table:
            try:
                values[name] = validated(field, structure(table[name], field.type, directory_of(name)))
            except Flaws as error:
                flaws += [attrs.evolve(flaw, path=(name, *flaw.path)) for flaw in error.flaws]
        elif field.default is attrs.NOTHING:
            flaws.append(Flaw((name,), f"missing: {name} ({type_name(field.type)})"))
        else:
            values[name] = default_of(field)
    return values, flaws


def validated(field: attrs.Attribute[Any], value: Any) -> Any:
    """Return a value its field's own validator accepts. Raises Flaws."""
    try:
        if field.validator is not None:
            field.validator(None, field, value)
    except (ValueError, TypeError) as error:
        raise Flaws(Flaw((), str(error.args[0]) if error.args else "not valid")) from None
    except AttributeError:
        pass  # a validator that looks at other fields; it runs again when the component is made
    return value


def describe_fields(fields: Fields) -> str:
    """Return e.g. `sigma (float, 0.3), joints (tuple[str, ...], required)`."""
    return ", ".join(f"{name} ({type_name(field.type)}, {default_text(field)})" for name, field in fields.items())


def default_of(field: attrs.Attribute[Any]) -> Any:
    """Return the default of a field that has one."""
    default: Any = field.default
    return default.factory() if hasattr(default, "takes_self") else default


def default_text(field: attrs.Attribute[Any]) -> str:
    """Return the default of a field as a reader wants it."""
    if field.default is attrs.NOTHING:
        return "required"
    default = default_of(field)
    if isinstance(default, Schedule) and default == Schedule.constant(default.start):
        default = default.start
    return f"{default}"


def type_name(annotation: Any) -> str:
    """Return a type as a reader wants it: `float`, `Path | None`, `"a" | "b"`."""
    if get_origin(annotation) in (Union, types.UnionType):
        return " | ".join(type_name(member) for member in get_args(annotation))
    if get_origin(annotation) is Literal:
        return " | ".join(f'"{option}"' if isinstance(option, str) else str(option) for option in get_args(annotation))
    if annotation is Schedule:
        return "number or schedule"
    if annotation is types.NoneType:
        return "None"
    return annotation.__name__ if isinstance(annotation, type) and not get_args(annotation) else str(annotation)


def _refuse(expected: str, value: object) -> typing.NoReturn:
    raise Flaws(Flaw((), f"expected {expected}, got {_toml_name(value)}"))


def _toml_name(value: object) -> str:
    names = {int: "an integer", float: "a number", str: "a string", list: "an array", dict: "a table"}
    return str(value).lower() if isinstance(value, bool) else names.get(type(value), f"a {type(value).__name__}")


def _exactly(wanted: type, expected: str) -> Callable[[Any, Any], Any]:
    def hook(value: Any, _: Any) -> Any:
        return value if type(value) is wanted else _refuse(expected, value)  # not isinstance: True is an int

    return hook


def _number(value: Any, _: Any) -> float:
    if type(value) not in (int, float):
        _refuse("a number", value)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise Flaws(Flaw((), "expected a finite number"))
    return number


def _literal(value: Any, annotation: Any) -> Any:
    options = get_args(annotation)
    if not any(type(value) is type(option) and value == option for option in options):
        remedy = did_you_mean(str(value), [str(option) for option in options])
        raise Flaws(Flaw((), f"expected one of {type_name(annotation).replace(' | ', ', ')}", remedy))
    return value


def _each(items: Iterable[tuple[str, object, Any]], converter: cattrs.Converter) -> list[Any]:
    """Return each value (with its key) as its annotated type. Raises Flaws with those of all."""
    values, flaws = [], []
    for key, value, annotation in items:
        try:
            values.append(converter.structure(value, annotation))
        except Flaws as error:
            flaws += [attrs.evolve(flaw, path=(key, *flaw.path)) for flaw in error.flaws]
    if flaws:
        raise Flaws(*flaws)
    return values


def _made(cls: type, fields: Fields, value: object, directory: Path) -> Any:
    """Return an attrs class made from a table that may have the keys of `fields` and no others. Raises Flaws."""
    if not isinstance(value, dict):
        _refuse(f"a table ({', '.join(fields)})", value)
    values, flaws = structure_fields(fields, value, lambda _: directory)
    flaws += [Flaw((key,), f"unknown key '{key}'", did_you_mean(key, fields)) for key in value if key not in fields]
    if flaws:
        raise Flaws(*flaws)
    try:
        return cls(**{fields[key].alias or key: value for key, value in values.items()})
    except (ValueError, TypeError) as error:
        raise Flaws(Flaw((), str(error))) from None


def _nested(value: object, cls: Any, directory: Path) -> Any:
    fields = attrs.fields(attrs.resolve_types(cls))
    return _made(cls, {field.name: field for field in fields if field.init}, value, directory)


def _schedule(value: object, directory: Path) -> Schedule:
    if not isinstance(value, dict):
        return Schedule.constant(_number(value, float))
    start, end, shape = attrs.fields(attrs.resolve_types(Schedule))
    made: Schedule = _made(Schedule, {"from": start, "to": end, "shape": shape}, value, directory)
    return made


def _array(value: Any, annotation: Any, converter: cattrs.Converter) -> Any:
    members = get_args(annotation) or (Any, ...)
    kind = get_origin(annotation) or annotation
    if not isinstance(value, list):
        _refuse("an array", value)
    if kind is tuple and members[-1:] != (...,):
        if len(value) != len(members):
            raise Flaws(Flaw((), f"expected {len(members)} values, got {len(value)}"))
        annotations = members
    else:
        annotations = members[:1] * len(value)
    items = [(str(place), *pair) for place, pair in enumerate(zip(value, annotations, strict=True))]
    return (list if kind is list else tuple)(_each(items, converter))


def _table(value: Any, annotation: Any, converter: cattrs.Converter) -> dict[str, Any]:
    inner = (get_args(annotation) or (str, Any))[1]
    if not isinstance(value, dict):
        _refuse("a table", value)
    values = _each([(key, member, inner) for key, member in value.items()], converter)
    return dict(zip(value, values, strict=True))


def _union(value: Any, annotation: Any, converter: cattrs.Converter) -> Any:
    members = [member for member in get_args(annotation) if member is not types.NoneType]  # TOML has no null
    if len(members) == 1:
        return converter.structure(value, members[0])
    for member in members:
        try:
            return converter.structure(value, member)
        except Flaws:
            continue
    return _refuse(type_name(annotation), value)


@cache
def _converter(directory: Path) -> cattrs.Converter:
    """Return a converter with a strict hook for each type a recipe can hold."""
    converter = cattrs.Converter()

    def path(value: Any, _: Any) -> Path:
        return directory / Path(value).expanduser() if isinstance(value, str) else _refuse("a path, in quotes", value)

    def is_array(annotation: Any) -> bool:
        return (get_origin(annotation) or annotation) in (tuple, list, Sequence)

    converter.register_structure_hook(bool, _exactly(bool, "true or false"))
    converter.register_structure_hook(int, _exactly(int, "an integer"))
    converter.register_structure_hook(str, _exactly(str, "a string"))
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook(Path, path)
    hooks: list[tuple[Callable[[Any], bool], Callable[[Any, Any], Any]]] = [  # a later one goes first
        (attrs.has, lambda value, cls: _nested(value, cls, directory)),
        (lambda a: a is Schedule, lambda value, _: _schedule(value, directory)),
        (lambda a: get_origin(a) in (Union, types.UnionType), lambda value, a: _union(value, a, converter)),
        (lambda a: get_origin(a) is Literal, _literal),
        (lambda a: (get_origin(a) or a) in (dict, Mapping), lambda value, a: _table(value, a, converter)),
        (is_array, lambda value, a: _array(value, a, converter)),
        (lambda a: a in (Any, object), lambda value, _: value),
    ]
    for predicate, hook in hooks:
        converter.register_structure_hook_func(predicate, hook)
    return converter
