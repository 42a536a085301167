"""Checks that a hook can be called: its methods are marked, name an existing event and take its arguments."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import pluggy

from mtrack.api.hookspecs import PROJECT, Specifications
from mtrack.errors import did_you_mean

_IMPORT = "(from mtrack import hookimpl)"
_EVENTS = {
    name: [*inspect.signature(event).parameters][1:]
    for name, event in vars(Specifications).items()
    if not name.startswith("_")
}
"""The arguments of each event, by its name."""


def hook_problems(target: Any) -> list[str]:
    """Return why a hook (class, module or object) would not be called, one phrase for each problem.

    pluggy finds the marked methods and their arguments. Its own check reports only one problem at a time, and ignores
    methods that are not marked.
    """
    manager = pluggy.PluginManager(PROJECT)  # without specifications, so that it accepts invalid hooks
    manager.register(target)
    events = {caller.name: caller.get_hookimpls() for caller in manager.get_hookcallers(target) or ()}
    problems = [
        problem for event, methods in events.items() for method in methods for problem in _event_problems(event, method)
    ]
    problems += [
        f"{event} is not marked, so it would not be called: write @hookimpl above it {_IMPORT}"
        for event in _EVENTS
        if callable(getattr(target, event, None)) and manager.parse_hookimpl_opts(target, event) is None
    ]
    if not events and not problems:
        problems.append(f"no method is marked with @hookimpl {_IMPORT}; events: {', '.join(_EVENTS)}")
    if isinstance(target, type) and not _takes_nothing(target):
        problems.append("it cannot be created without arguments")
    return problems


def _event_problems(event: str, method: pluggy.HookImpl) -> Iterator[str]:
    if event not in _EVENTS:
        yield f"no event '{event}'; {did_you_mean(event, _EVENTS) or 'events: ' + ', '.join(_EVENTS)}"
        return
    if method.wrapper or method.hookwrapper:
        yield f"{event} is a wrapper, but a hook cannot wrap others"
    for argument in (name for name in method.argnames if name not in _EVENTS[event]):
        yield f"{event} has no argument '{argument}'; it has {', '.join(_EVENTS[event])}"


def _takes_nothing(cls: type) -> bool:
    try:
        inspect.signature(cls).bind()
    except TypeError:
        return False
    except ValueError:  # a class written in C
        return True
    return True
