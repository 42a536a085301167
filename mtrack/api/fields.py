"""What a component is made of: `@component` and the three roles its fields may have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias, TypeVar, dataclass_transform

import attrs

_ROLE = "mtrack.role"
C = TypeVar("C", bound=type)
Validator: TypeAlias = "Callable[[Any, attrs.Attribute[Any], Any], Any]"
"""Raises ValueError if the value of a field is out of bounds."""

positive: Validator = attrs.validators.gt(0)
non_negative: Validator = attrs.validators.ge(0)


def between(low: float, high: float) -> Any:
    """Return a validator: the value lies in [low, high]."""
    return attrs.validators.and_(attrs.validators.ge(low), attrs.validators.le(high))


def one_of(*options: object) -> Any:
    """Return a validator: the value is one of `options`."""
    return attrs.validators.in_(options)


def param(*, default: Any = attrs.NOTHING, factory: Callable[[], Any] | None = None, validator: Any = None) -> Any:
    """Declare a recipe parameter; without a default the recipe must give it."""
    if factory is not None:
        return attrs.field(factory=factory, validator=validator, metadata={_ROLE: "param"})
    return attrs.field(default=default, validator=validator, metadata={_ROLE: "param"})


def state(*, init: Literal[False] = False) -> Any:
    """Declare what changes in a run and is saved: tensor, number, generator, or anything with a state_dict.

    A field annotated `torch.Generator` is filled by the kernel, before `bind`, with the slot's own generator.
    """
    return attrs.field(init=init, default=None, metadata={_ROLE: "state"})


def scratch(*, init: Literal[False] = False) -> Any:
    """Declare what is derived in `bind` or at each call, and never saved."""
    return attrs.field(init=init, default=None, metadata={_ROLE: "scratch"})


@dataclass_transform(kw_only_default=True, field_specifiers=(param, state, scratch))
def component(cls: C) -> C:
    """Make a component of a class: keyword-only, slotted (nothing undeclared can be assigned)."""
    return attrs.define(cls, slots=True, eq=False, kw_only=True, weakref_slot=True)


def fields_of(cls: type, role: str) -> list[attrs.Attribute[Any]]:
    """Return the fields of a component class with the given role: `param`, `state` or `scratch`."""
    if not attrs.has(cls):
        return []
    return [field for field in attrs.fields(cls) if field.metadata.get(_ROLE) == role]


def params_of(cls: type) -> dict[str, attrs.Attribute[Any]]:
    """Return the recipe parameters of a component class, by name, annotations resolved to types."""
    if not attrs.has(cls):
        return {}
    attrs.resolve_types(cls)
    return {field.name: field for field in fields_of(cls, "param")}
