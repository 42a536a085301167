"""Stopping: the first SIGINT or SIGTERM asks for a clean end, the second ends the process at once."""

from __future__ import annotations

import signal
import sys
import time
from types import FrameType, TracebackType
from typing import Any, Self

_SAME_REQUEST_S = 1.0  # one Ctrl-C reaches a process of torchrun twice: from the terminal, and from torchrun


class StopRequest:
    """While entered, remembers the signal that asked to stop."""

    def __init__(self) -> None:
        """Start with nothing asked."""
        self.signal: int | None = None
        self._asked = 0.0
        self._before: dict[int, Any] = {}

    @property
    def exit_status(self) -> int:
        """Exit status of a process ended by that signal: 130 for SIGINT, 143 for SIGTERM."""
        return 128 + (self.signal or 0)

    def __enter__(self) -> Self:
        """Take over both signals."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Give them back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.signal is not None and now - self._asked > _SAME_REQUEST_S:
            sys.stderr.write("stopped at once; the last checkpoint stands\n")
            sys.exit(128 + number)
        if self.signal is None:
            sys.stderr.write("stopping after this iteration, with a checkpoint; again to stop at once\n")
            self.signal, self._asked = number, now
