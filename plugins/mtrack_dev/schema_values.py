"""JSON schemas (draft 7) of parameters: their types, bounds, defaults and help."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import attrs
from attrs import validators

from mtrack import Schedule
from mtrack.api.fields import params_of
from mtrack.recipe.write import inline
from mtrack.registry.plain import plain
from mtrack_dev.help_text import help_of

Schema = dict[str, Any]
_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", Path: "string"}
_BOUNDS = {">": "exclusiveMinimum", ">=": "minimum", "<": "exclusiveMaximum", "<=": "maximum"}
# the classes of the validators of attrs are private
_AND: Any = type(validators.and_())
_AT_LEAST: Any = type(validators.min_len(0))
_AT_MOST: Any = type(validators.max_len(0))
_COMPARED: Any = type(validators.gt(0))
_ONE_OF: Any = type(validators.in_(()))
_OPTIONAL: Any = type(validators.optional(validators.gt(0)))


def parameters(cls: type) -> Schema:
    """Return the schema of each parameter of a class."""
    anything: Any = cls  # mypy treats a class whose instances have no hash as not hashable itself
    return dict(_parameters(anything))


def required_parameters(cls: type) -> list[str]:
    """Return the parameters that a recipe must give."""
    return [name for name, field in params_of(cls).items() if field.default is attrs.NOTHING]


def bounds_text(validator: Any) -> str:
    """Return bounds as text: `> 0`, `>= 0 and <= 1`, `one of "a", "b"`; empty if the validator is a function."""
    bounds = _bounds(validator)
    signs = {name: sign for sign, name in _BOUNDS.items()}
    texts = [f"{signs[name]} {bound}" for name, bound in bounds.items() if name in signs]
    texts += [f"at least {bounds['minItems']}"] if "minItems" in bounds else []
    texts += [f"at most {bounds['maxItems']}"] if "maxItems" in bounds else []
    texts += [f"one of {inline(bounds['enum'])[1:-1]}"] if "enum" in bounds else []
    return " and ".join(texts)


def table(properties: Schema) -> Schema:
    """Return the schema of a table with some keys and no others."""
    return {"type": "object", "properties": properties, "additionalProperties": False}


def open_table(properties: Schema, *required: str) -> Schema:
    """Return a schema of some keys that allows others; strict servers warn unless this is explicit."""
    return {"properties": properties, "required": [*required], "additionalProperties": True}


def hint(schema: Schema) -> Schema:
    """Return a schema that accepts everything, from which editors complete as from `schema`."""
    return {"anyOf": [schema, True]}


def schedule() -> Schema:
    """Return the schema of a number or schedule."""
    numbers = {"from": {"type": "number"}, "to": {"type": "number"}}
    whole = table(numbers | {"shape": {"enum": ["linear", "exp"]}}) | {"required": ["from", "to"]}
    is_table = open_table({}) | {"type": "object"}
    return open_table({}) | hint(whole) | {"if": is_table, "then": whole, "else": {"type": "number"}}


@cache
def _parameters(cls: type) -> Schema:
    helps = help_of(cls)
    return {name: _value(field, helps.get(name, "")) for name, field in params_of(cls).items()}


def _value(field: attrs.Attribute[Any], text: str) -> Schema:
    default: Any = field.default
    default = plain(default.factory() if hasattr(default, "takes_self") else default)
    notes = {"description": text, "default": default}
    return _type(field.type) | _bounds(field.validator) | {k: v for k, v in notes.items() if v not in ("", None)}


def _type(annotation: Any) -> Schema:  # noqa: PLR0911  one return per type
    kind, members = get_origin(annotation) or annotation, get_args(annotation)
    if kind in _TYPES:
        return {"type": _TYPES[kind]}
    if kind is Schedule:
        return {"$ref": "#/definitions/schedule"}
    if kind is Literal:
        return {"enum": list(members)}
    if kind in (Union, types.UnionType):
        options = [_type(member) for member in members if member is not types.NoneType]  # TOML has no null
        return options[0] if len(options) == 1 else {"anyOf": options}
    if kind is tuple and members and members[-1] is not ...:
        length = len(members)
        return {"type": "array", "items": [_type(one) for one in members], "minItems": length, "maxItems": length}
    if kind in (tuple, list, Sequence):
        return {"type": "array", "items": _type(members[0]) if members else {}}
    if kind in (dict, Mapping):
        return {"type": "object", "additionalProperties": _type(members[1]) if members else {}}
    return _nested(kind) if attrs.has(kind) else {}


def _nested(cls: type) -> Schema:
    helps, fields = help_of(cls), [field for field in attrs.fields(attrs.resolve_types(cls)) if field.init]
    required = [field.name for field in fields if field.default is attrs.NOTHING]
    return table({field.name: _value(field, helps.get(field.name, "")) for field in fields}) | {"required": required}


def _bounds(validator: Any) -> Schema:
    """Return the schema of a validator; empty if it is a function."""
    bounds: Schema = {}
    if isinstance(validator, _AND):
        for part in validator._validators:
            bounds |= _bounds(part)
    elif isinstance(validator, _OPTIONAL):
        bounds = _bounds(validator.validator)
    elif isinstance(validator, _COMPARED):
        bounds = {_BOUNDS[validator.compare_op]: validator.bound}
    elif isinstance(validator, _ONE_OF):
        bounds = {"enum": [plain(option) for option in validator.options]}
    elif isinstance(validator, _AT_LEAST):
        bounds = {"minItems": validator.min_length, "minLength": validator.min_length}
    elif isinstance(validator, _AT_MOST):
        bounds = {"maxItems": validator.max_length, "maxLength": validator.max_length}
    return bounds
