"""Checks a class against the contract of its kind: `@component`, field roles, and the members of the Protocol."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import attrs

from mtrack.api import protocols
from mtrack.api.fields import default_of, fields_of, params_of
from mtrack.api.kinds import Kind, with_article
from mtrack.registry.values import problem_of_default, type_name

_ROLES = ("param", "state", "scratch")
_RANDOMIZING = ("startup", "reset", "before_step", "before_substep", "after_substep", "set_progress")


def contract_problems(kind: Kind, target: object) -> list[str]:
    """Return how `target` breaks the contract of its kind, one phrase for each problem."""
    if not isinstance(target, type):
        return [f"it is {with_article(type(target).__name__)}, not a class"]
    if "__attrs_attrs__" not in vars(target):
        return ["it is not made with @component; write @component above the class"]
    problems = [*_bad_fields(kind, target), *_bad_members(target, getattr(protocols, kind.protocol))]
    if kind.name == "randomization" and not any(_member(target, name) for name in _RANDOMIZING):
        problems.append(f"it has none of the methods {', '.join(_RANDOMIZING)}, so it randomizes nothing")
    return problems


def _bad_fields(kind: Kind, cls: type) -> Iterator[str]:
    with_role = {field.name for role in _ROLES for field in fields_of(cls, role)}
    for field in attrs.fields(cls):
        if field.name not in with_role:
            yield f"field '{field.name}' has no role: make it a param(), state() or scratch()"
    try:
        params = params_of(cls)
    except Exception as error:  # evaluating an annotation may raise anything
        yield f"annotations must be importable at run time: {error}"
        return
    for name in sorted(kind.keys & params.keys()):
        yield f"parameter '{name}' has the name of a key that mtrack reads itself; rename it"
    for name, field in params.items():
        if problem := problem_of_default(default_of(field), field.type):
            yield f"the default of parameter '{name}' is not a {type_name(field.type)}: {problem}"


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
    """Return a member of a class or its bases, but not of its metaclass, which has `__call__` for every class."""
    return next((vars(base)[name] for base in cls.__mro__[:-1] if name in vars(base)), None)
