"""Where the time of a program goes: self times of named parts, taken by listening to functions and methods."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from functools import wraps
from types import TracebackType
from typing import Any, Self

import attrs


@attrs.frozen
class Part:
    """A function to listen to: attribute `function` of a class, a module or an object."""

    owner: Any
    function: str
    name: str | Callable[[Any], str]
    """What its time counts for; of a method, perhaps told by the object it is called on."""


class Stopwatch:
    """While entered, gives the time of each call to its part, less the time of the calls of other parts within it."""

    def __init__(self, parts: list[Part], finish: Callable[[], object] = lambda: None) -> None:
        """Listen to parts; `finish` waits for what a device has yet to do, so that its time falls where it belongs."""
        self.parts, self.finish = parts, finish
        self.seconds: dict[str, float] = defaultdict(float)
        self._inner: list[float] = []
        """Of every call going on: seconds spent in calls within it."""
        self._before: list[tuple[Any, str, Any]] = []

    def __enter__(self) -> Self:
        """Begin to listen."""
        for part in self.parts:
            own = vars(part.owner).get(part.function)  # None: inherited, and to be deleted afterwards
            self._before.append((part.owner, part.function, own))
            setattr(part.owner, part.function, self.heard(getattr(part.owner, part.function), part.name))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        """Put the functions back."""
        while self._before:
            owner, function, own = self._before.pop()
            if own is None:
                delattr(owner, function)
            else:
                setattr(owner, function, own)

    def heard(self, function: Callable[..., Any], name: str | Callable[[Any], str]) -> Callable[..., Any]:
        """Return a function that does the same, and whose time counts for a part from now on."""

        @wraps(function)
        def timed(*arguments: Any, **more: Any) -> Any:
            self._inner.append(0.0)
            started = time.perf_counter()
            try:
                return function(*arguments, **more)
            finally:
                self.finish()
                taken = time.perf_counter() - started
                self.seconds[name if isinstance(name, str) else name(arguments[0])] += taken - self._inner.pop()
                if self._inner:
                    self._inner[-1] += taken

        return timed
