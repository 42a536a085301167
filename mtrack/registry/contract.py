"""Whether a class keeps the contract of its kind: made by @component, with the members of the kind's Protocol."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import attrs

from mtrack.api import protocols
from mtrack.api.fields import fields_of, params_of
from mtrack.api.kinds import Kind, with_article
from mtrack.registry.values import default_of, problem_of_default, type_name

_ROLES = ("param", "state", "scratch")
_RANDOMIZING = ("startup", "reset", "before_step", "before_substep", "after_substep", "set_progress")


def contract_problems(kind: Kind, target: object) -> list[str]:
    """Return everything in which `target` breaks the contract of its kind, one phrase each."""
    if not isinstance(target, type):
        return [f"it is {with_article(type(target).__name__)}, not a class"]
    if "__attrs_attrs__" not in vars(target):
        return ["it is not made with @component; write that above the class"]
    flaws = [*_bad_fields(kind, target), *_bad_members(target, getattr(protocols, kind.protocol))]
    if kind.name == "randomization" and not any(_member(target, name) for name in _RANDOMIZING):
        flaws.append(f"it has none of the methods {', '.join(_RANDOMIZING)}, so it randomizes nothing")
    return flaws


def _bad_fields(kind: Kind, cls: type) -> Iterator[str]:
    with_role = {field.name for role in _ROLES for field in fields_of(cls, role)}
    for field in attrs.fields(cls):
        if field.name not in with_role:
            yield f"field '{field.name}' has no role: make it a param(), state() or scratch()"
    try:
        params = params_of(cls)
    except Exception as error:  # an annotation may evaluate to anything
        yield f"annotations must be importable at run time: {error}"
        return
    for name in sorted(kind.keys & params.keys()):
        yield f"parameter '{name}' has the name of a key of the kernel; rename it"
    for name, field in params.items():
        if flaw := problem_of_default(default_of(field), field.type):
            yield f"the default of parameter '{name}' is not a {type_name(field.type)}: {flaw}"


def _bad_members(cls: type, protocol: type) -> Iterator[str]:
    for name in inspect.get_annotations(protocol):
        if _member(cls, name) is None:
            yield f"no attribute '{name}'"
    for name, wanted in vars(protocol).items():
        if not inspect.isfunction(wanted) or (name.startswith("_") and name != "__call__"):
            continue
        found, (_, *arguments) = _member(cls, name), inspect.signature(wanted).parameters
        if found is None:
            yield f"no method {name}({', '.join(arguments)})"
        elif inspect.isfunction(found):
            try:
                inspect.signature(found).bind(None, *arguments)
            except TypeError:
                yield f"{name} cannot be called with ({', '.join(arguments)})"


def _member(cls: type, name: str) -> Any:
    """Return a member of a class or its bases, not of its metaclass: that would give `__call__` to every class."""
    return next((vars(base)[name] for base in cls.__mro__[:-1] if name in vars(base)), None)
