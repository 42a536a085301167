"""Keeps a loop at its rate, and counts the cycles that came late."""

from __future__ import annotations

import time
from collections.abc import Callable


class Pace:
    """Waits for deadlines that are a period apart, whatever the work in between takes."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Start with the first `wait`."""
        self._clock, self._sleep = clock, sleep
        self._deadline: float | None = None
        self.cycles = 0
        self.missed = 0
        """Cycles that began more than half a period late."""
        self.worst = 0.0
        """Largest delay of a cycle [s]."""
        self.seconds = 0.0
        """Time in cycles."""

    def restart(self) -> None:
        """Forget the last deadline, after a break; the counts remain."""
        self._deadline = None

    def wait(self, period: float) -> None:
        """Wait until `period` seconds after the last deadline. If that is long past, the next period starts now."""
        started = self._clock()
        last = started if self._deadline is None else self._deadline
        deadline = last + period
        if deadline > started:
            self._sleep(deadline - started)
        now = self._clock()
        late = now - deadline
        self.cycles += 1
        self.missed += late > 0.5 * period
        self.worst = max(self.worst, late)
        # a loop that has lost several periods must not catch up with a burst of commands
        self._deadline = now if late > period else deadline
        self.seconds += self._deadline - last

    def __str__(self) -> str:
        """Return one line: rate, missed cycles, largest delay."""
        rate = self.cycles / self.seconds if self.seconds else 0.0
        return f"{rate:.1f} cycles/s, {self.missed} of {self.cycles} late, by at most {1e3 * self.worst:.1f} ms"
