"""Records the order in which the loop calls the parts of an environment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from mtrack import Env
from mtrack.loop.env import LifecycleCalls

_CALLED = {
    "backend": ("step", "refresh", "set_state", "forward"),
    "command": ("advance", "reset", "finished"),
    "action": ("apply", "target", "reset"),
    "observer": ("observe", "final_observations"),
}


class OrderTracker:
    """Appends every call of the parts of an environment to `seen`, from its creation on.

    Entries are `backend.step`, `command.reset`, ...; `Push.before_step` for a lifecycle call of a component;
    `reward PATH`, `termination SLOT` and `observation PATH` for the value of a term.
    """

    def __init__(self, env: Env) -> None:
        """Wrap the parts of an environment."""
        self.seen: list[str] = []
        for part, methods in _CALLED.items():
            setattr(env, part, _Recorded(getattr(env, part), part, methods, self.seen))
        for field in attrs.fields(LifecycleCalls):
            calls: list[Callable[..., Any]] = getattr(env.calls, field.name)
            calls[:] = [self._recording(_label(call, field.name), call) for call in calls]
        env.rewards[:] = [self._term(term, f"reward {term.path}") for term in env.rewards]
        env.terminations[:] = [self._term(term, f"termination {term.slot}") for term in env.terminations]
        for term in env.observer.terms():
            wrapped: Any = _Recorded(term.component, f"observation {term.path}", (), self.seen)
            term.component = wrapped

    def of(self, name: str) -> list[str]:
        """Return the entries of one part or component in order: those that start with its name."""
        return [entry for entry in self.seen if entry.startswith(name)]

    def _term(self, term: Any, name: str) -> Any:
        return attrs.evolve(term, component=_Recorded(term.component, name, (), self.seen))

    def _recording(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def recorded(*arguments: Any) -> Any:
            self.seen.append(name)
            return call(*arguments)

        return recorded


class _Recorded:
    """Wraps an object and records calls of some of its methods and of the object itself."""

    def __init__(self, target: Any, name: str, methods: tuple[str, ...], seen: list[str]) -> None:
        self._target, self._name, self._methods, self._seen = target, name, methods, seen

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(self._target, attribute)
        if attribute not in self._methods:
            return value

        def recorded(*arguments: Any, **named: Any) -> Any:
            self._seen.append(f"{self._name}.{attribute}")
            return value(*arguments, **named)

        return recorded

    def __call__(self, *arguments: Any) -> Any:
        self._seen.append(self._name)
        return self._target(*arguments)


def _label(call: Callable[..., Any], slot: str) -> str:
    owner = getattr(call, "__self__", None)
    return slot if owner is None else f"{type(owner).__name__}.{slot}"
