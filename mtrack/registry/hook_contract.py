"""Checks that a hook can be called: its methods are marked, name an existing event and take its arguments."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from mtrack.api.hookspecs import PROJECT, Specifications
from mtrack.errors import did_you_mean

_MARK = f"{PROJECT}_impl"  # the attribute in which pluggy stores the options of @hookimpl
_IMPORT = "(from mtrack import hookimpl)"


def hook_problems(target: Any) -> list[str]:
    """Return why a hook (class, module or object) cannot be called, one phrase for each problem."""
    problems: list[str] = []
    known = {name: _arguments(spec) for name, spec in vars(Specifications).items() if not name.startswith("_")}
    marked = 0
    for name in dir(target):
        method = inspect.getattr_static(target, name, None)
        method = getattr(method, "__func__", method)  # the function of a static method or class method
        options = getattr(method, _MARK, None)
        if isinstance(options, dict):
            marked += 1
            problems += _event_problems(options.get("specname") or name, method, options, known)
        elif name in known and callable(method):
            problems.append(f"{name} is not marked, so it would not be called: write @hookimpl above it {_IMPORT}")
    if not marked and not problems:
        problems.append(f"no method is marked with @hookimpl {_IMPORT}; events: {', '.join(known)}")
    if isinstance(target, type) and not _takes_nothing(target):
        problems.append("it cannot be created without arguments")
    return problems


def _event_problems(
    event: str, method: Any, options: Mapping[str, Any], known: Mapping[str, list[str]]
) -> Iterator[str]:
    if event not in known:
        yield f"no event '{event}'; {did_you_mean(event, known) or 'events: ' + ', '.join(known)}"
        return
    if options.get("wrapper") or options.get("hookwrapper"):
        yield f"{event} is a wrapper, but a hook cannot wrap others"
    for argument in (one for one in _arguments(method) if one not in ("self", "cls") and one not in known[event]):
        yield f"{event} has no argument '{argument}'; it has {', '.join(known[event])}"


def _arguments(method: Any) -> list[str]:
    parameters = inspect.signature(method).parameters.values()
    return [one.name for one in parameters if one.name != "self" and one.default is one.empty]


def _takes_nothing(cls: type) -> bool:
    try:
        inspect.signature(cls).bind()
    except TypeError:
        return False
    except ValueError:  # a class written in C
        return True
    return True
