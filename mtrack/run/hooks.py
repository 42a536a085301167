"""Calls the installed hooks of a run: each gets copies, and one that raises is reported once, then disabled."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterable
from typing import Any

import pluggy

from mtrack.api.hookspecs import PROJECT, Specifications
from mtrack.errors import ComponentError, describe_error, did_you_mean, is_from_user
from mtrack.loop.process_state import process_state_kept
from mtrack.registry.registry import Registry

_log = logging.getLogger(__name__)


class Hooks:
    """The installed hooks of one run."""

    def __init__(self) -> None:
        """Start without any."""
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(Specifications)

    @classmethod
    def load(cls, registry: Registry, switches: Iterable[str] = ()) -> Hooks:
        """Load every installed hook except those disabled by `no:NAME`; one that cannot be loaded is reported."""
        hooks, installed = cls(), registry.of("hook")
        known, off = {entry.name for entry in installed}, {switch.removeprefix("no:") for switch in switches}
        for name in sorted(off - known):
            _log.warning("no hook '%s' is installed, so none is disabled. %s", name, did_you_mean(name, known))
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
        _log.warning("hook '%s' %s and is disabled: %s", name, what, describe_error(error))
