"""Measures how long named parts of a program take, by wrapping functions and methods."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from functools import wraps
from types import TracebackType
from typing import Any, Self

import attrs


@attrs.frozen
class TimedFunction:
    """A function to time: attribute `function` of a class, a module or an object."""

    owner: Any
    function: str
    name: str | Callable[[Any], str]
    """Part that its time counts for; of a method, it may be computed from the object it is called on."""


class Stopwatch:
    """Adds the time of each call to its part, without the time of timed calls inside it, while it is entered."""

    def __init__(self, functions: list[TimedFunction], finish: Callable[[], object] = lambda: None) -> None:
        """Time some functions; `finish` waits for the device, so that its time counts for the right part."""
        self.functions, self.finish = functions, finish
        self.seconds: dict[str, float] = defaultdict(float)
        self._inner: list[float] = []
        """For each active call, the seconds spent in timed calls inside it."""
        self._before: list[tuple[Any, str, Any]] = []

    def __enter__(self) -> Self:
        """Wrap the functions."""
        for timed in self.functions:
            owner, name = timed.owner, timed.function
            own = vars(owner).get(name)  # None if it is inherited; then the wrapper is deleted afterwards
            self._before.append((owner, name, own))
            setattr(owner, name, self.timed(getattr(owner, name), timed.name))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        """Restore the functions."""
        while self._before:
            owner, function, own = self._before.pop()
            if own is None:
                delattr(owner, function)
            else:
                setattr(owner, function, own)

    def timed(self, function: Callable[..., Any], name: str | Callable[[Any], str]) -> Callable[..., Any]:
        """Return the function wrapped so that its time counts for a part."""

        @wraps(function)
        def wrapper(*arguments: Any, **more: Any) -> Any:
            self._inner.append(0.0)
            started = time.perf_counter()
            try:
                return function(*arguments, **more)
            finally:
                self.finish()
                elapsed = time.perf_counter() - started
                self.seconds[name if isinstance(name, str) else name(arguments[0])] += elapsed - self._inner.pop()
                if self._inner:
                    self._inner[-1] += elapsed

        return wrapper
