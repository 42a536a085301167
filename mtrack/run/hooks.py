"""Hooks: what an operator may watch of a run. They receive copies, change no numbers and cannot stop it."""

from __future__ import annotations

import copy
import inspect
import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

from mtrack.errors import ComponentError, describe_error, did_you_mean, is_from_user
from mtrack.loop.process_state import process_state_kept
from mtrack.registry.registry import Registry

if TYPE_CHECKING:
    from mtrack.api.metrics import Metrics

PROJECT = "mtrack"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
_IMPORT = "(from mtrack.run.hooks import hookimpl)"
_log = logging.getLogger(__name__)


class Specifications:
    """What can be watched. An implementation may leave out arguments it does not need."""

    @hookspec
    def run_started(self, directory: Path, manifest: Mapping[str, object]) -> None:
        """Tell that a run begins, or goes on, in its directory."""

    @hookspec
    def phase_started(self, phase: str) -> None:
        """Tell that a phase begins, or goes on."""

    @hookspec
    def iteration_ended(self, metrics: Metrics) -> None:
        """Tell the figures of one iteration."""

    @hookspec
    def checkpoint_saved(self, path: Path) -> None:
        """Tell that a checkpoint is safely on disk."""

    @hookspec
    def phase_ended(self, phase: str) -> None:
        """Tell that a phase has all its frames."""

    @hookspec
    def run_ended(self, status: str) -> None:
        """Tell how the run ended: `finished`, `interrupted` or `failed`."""


_EVENTS = {
    name: [*inspect.signature(event).parameters][1:]
    for name, event in vars(Specifications).items()
    if not name.startswith("_")
}
"""The arguments of each event, by its name."""


def hook_problems(target: Any) -> list[str]:
    """Return why events of a hook (a class, module or object) would not be called, one phrase each.

    pluggy finds the marked methods and their arguments. Its own check reports one flaw at a time, and none of a method
    without a mark.
    """
    manager = pluggy.PluginManager(PROJECT)  # without specifications, so that it registers what does not fit
    manager.register(target)
    events = {caller.name: caller.get_hookimpls() for caller in manager.get_hookcallers(target) or ()}
    flaws = [flaw for event, methods in events.items() for method in methods for flaw in _event_flaws(event, method)]
    flaws += [
        f"{event} is not marked, so it would not be called: write @hookimpl above it {_IMPORT}"
        for event in _EVENTS
        if callable(getattr(target, event, None)) and manager.parse_hookimpl_opts(target, event) is None
    ]
    if not events and not flaws:
        flaws.append(f"no method is marked with @hookimpl {_IMPORT}; events: {', '.join(_EVENTS)}")
    if isinstance(target, type) and not _takes_nothing(target):
        flaws.append("it cannot be created without arguments")
    return flaws


def _event_flaws(event: str, method: pluggy.HookImpl) -> Iterator[str]:
    if event not in _EVENTS:
        yield f"no event '{event}'; {did_you_mean(event, _EVENTS) or 'events: ' + ', '.join(_EVENTS)}"
        return
    if method.wrapper or method.hookwrapper:
        yield f"{event} is a wrapper, and a hook cannot wrap others"
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


class Hooks:
    """The installed hooks of one run."""

    def __init__(self) -> None:
        """Start without any."""
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(Specifications)

    @classmethod
    def load(cls, registry: Registry, switches: Iterable[str] = ()) -> Hooks:
        """Load every installed hook but those switched off by `no:NAME`; one that cannot be loaded is reported."""
        hooks, installed = cls(), registry.of("hook")
        known, off = {entry.name for entry in installed}, {switch.removeprefix("no:") for switch in switches}
        for name in sorted(off - known):
            _log.warning("no hook '%s' is installed, so none is switched off. %s", name, did_you_mean(name, known))
        for entry in installed:
            if entry.name not in off:
                try:
                    hooks.add(registry.load(entry), entry.full_name)
                except ComponentError as error:
                    _log.warning("%s; the run continues without it", error)
        return hooks

    def add(self, plugin: Any, name: str) -> None:
        """Add a hook: a module, an object, or a class to make one of; one that does not fit is reported."""
        try:
            self._manager.register(plugin() if isinstance(plugin, type) else plugin, name)
            self._manager.check_pending()
        except BaseException as error:
            if is_from_user(error):
                raise
            self._drop(name, "does not fit", error)

    def call(self, event: str, **arguments: object) -> None:
        """Call every hook of an event with copies of the arguments. One that raises is reported once, then disabled."""
        # one by one: pluggy's own call of an event stops at the first implementation that raises
        for implementation in reversed(getattr(self._manager.hook, event).get_hookimpls()):
            name = implementation.plugin_name
            own = [copy.deepcopy(arguments[argument]) for argument in implementation.argnames]
            try:
                with process_state_kept(f"hook '{name}'"):
                    implementation.function(*own)
            except BaseException as error:  # sys.exit and KeyboardInterrupt of a hook are its own errors too
                if is_from_user(error):
                    raise
                self._drop(name, f"failed in {event}", error)

    def _drop(self, name: str, what: str, error: BaseException) -> None:
        if self._manager.has_plugin(name):
            self._manager.unregister(name=name)
        _log.warning("hook '%s' %s and is switched off: %s", name, what, describe_error(error))
