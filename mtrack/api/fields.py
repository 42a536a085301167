"""The decorator `@component`, the three roles of its fields (`param`, `state`, `scratch`), and validators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias, TypeVar, dataclass_transform

import attrs

_ROLE = "mtrack.role"
C = TypeVar("C", bound=type)
Validator: TypeAlias = "Callable[[Any, attrs.Attribute[Any], Any], Any]"
"""Called with instance, field and value; raises ValueError if the value is invalid."""

positive: Validator = attrs.validators.gt(0)
"""The value is greater than 0."""
non_negative: Validator = attrs.validators.ge(0)
"""The value is 0 or greater."""


def between(low: float, high: float) -> Any:
    """Return a validator that requires a value in [low, high]."""
    return attrs.validators.and_(attrs.validators.ge(low), attrs.validators.le(high))


def one_of(*options: object) -> Any:
    """Return a validator that requires one of `options`."""
    return attrs.validators.in_(options)


def param(*, default: Any = attrs.NOTHING, factory: Callable[[], Any] | None = None, validator: Any = None) -> Any:
    """Declare a parameter that recipes set. Without `default` or `factory`, a recipe must set it.

    The string below the field is its help text. `validator` raises ValueError if the value is invalid.
    """
    if factory is not None:
        return attrs.field(factory=factory, validator=validator, metadata={_ROLE: "param"})
    return attrs.field(default=default, validator=validator, metadata={_ROLE: "param"})


def state(*, init: Literal[False] = False) -> Any:
    """Declare a value that changes during a run and is saved in checkpoints.

    It may be a tensor, a number, a generator or anything with a `state_dict`. The kernel sets a field annotated
    `torch.Generator` before `bind`, to a generator that is seeded for its slot.
    """
    return attrs.field(init=init, default=None, metadata={_ROLE: "state"})


def scratch(*, init: Literal[False] = False) -> Any:
    """Declare a value that is computed in `bind` or in each call, and is not saved."""
    return attrs.field(init=init, default=None, metadata={_ROLE: "scratch"})


@dataclass_transform(kw_only_default=True, field_specifiers=(param, state, scratch))
def component(cls: C) -> C:
    """Make a class a component: its fields are keyword arguments, and undeclared attributes cannot be assigned."""
    return attrs.define(cls, slots=True, eq=False, kw_only=True, weakref_slot=True)


def fields_of(cls: type, role: str) -> list[attrs.Attribute[Any]]:
    """Return the fields of a component class that have a role: `param`, `state` or `scratch`."""
    if not attrs.has(cls):
        return []
    return [field for field in attrs.fields(cls) if field.metadata.get(_ROLE) == role]


def params_of(cls: type) -> dict[str, attrs.Attribute[Any]]:
    """Return the parameters of a component class by name, with annotations resolved to types."""
    if not attrs.has(cls):
        return {}
    attrs.resolve_types(cls)
    return {field.name: field for field in fields_of(cls, "param")}


def default_of(field: attrs.Attribute[Any]) -> Any:
    """Return the default of a field, or attrs.NOTHING if it has none; a factory is called."""
    default: Any = field.default
    return default.factory() if hasattr(default, "takes_self") else default
