"""Stops a run: the first SIGINT or SIGTERM after the present iteration, the second at once."""

from __future__ import annotations

import signal
import sys
import time
from types import FrameType, TracebackType
from typing import Any, Self

from mtrack.api.distributed import is_failing
from mtrack.errors import StoppedAtOnce

_SAME_REQUEST_S = 1.0  # one Ctrl-C reaches a process of torchrun twice: from the terminal, and from torchrun


class StopRequest:
    """While entered, remembers the signal that asked to stop."""

    def __init__(self) -> None:
        """Start without a signal."""
        self.signal: int | None = None
        """The signal that asked to stop, this process or another one of the run; None before that."""
        self._received: float | None = None
        self._before: dict[int, Any] = {}

    @property
    def exit_status(self) -> int:
        """Exit status of a process ended by that signal: 130 for SIGINT, 143 for SIGTERM."""
        return 128 + (self.signal or 0)

    def join(self, number: int | None) -> None:
        """Stop because another process of the run was asked to; its own first signal still counts as the first."""
        self.signal = number

    def __enter__(self) -> Self:
        """Catch both signals."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Restore the handlers from before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._received is None:
            self._received = now
            if self.signal is None:
                self.signal = number
                if not is_failing():  # otherwise torchrun is ending all processes, and no iteration ends any more
                    sys.stderr.write("stopping after this iteration, with a checkpoint; again to stop at once\n")
        elif now - self._received > _SAME_REQUEST_S:
            sys.stderr.write("stopped at once; the last checkpoint is kept\n")
            raise StoppedAtOnce(128 + number)
