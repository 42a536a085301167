"""Reports where a run hangs: if no iteration finishes for a minute, a thread logs what the run is doing; no more."""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback
from types import FrameType
from typing import Self

from mtrack.loop.blame import first_argument
from mtrack.recipe.checked import Recipe

_PATIENCE_S = 60.0
_SLOW = 3.0  # times the longest iteration so far: those of a large task may take minutes
_GROWTH = 2.0  # of the time until the next report
_MOST_FRAMES = 12  # of the stack, the innermost ones
_log = logging.getLogger("mtrack")


class StallWatch:
    """While entered, watches the thread that entered it: whether its iterations finish."""

    def __init__(self, recipe: Recipe) -> None:
        """Take the recipe, to name its components."""
        self._recipe = recipe
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="stall watch", daemon=True)
        self._watched, self._longest = 0, 0.0
        self.expect_long_iteration()

    def __enter__(self) -> Self:
        """Start the thread."""
        self._watched = threading.get_ident()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the thread."""
        self._ended.set()
        self._thread.join(1.0)

    def expect_long_iteration(self) -> None:
        """Note that a phase is made ready, and that its first iteration may compile something."""
        self._started, self._since, self._waited = 0, time.monotonic(), 0.0

    def iteration_started(self) -> None:
        """Note that an iteration starts, so that the previous one has finished."""
        now = time.monotonic()
        if self._started >= 2:  # the first one does not say how long others take
            self._longest = max(self._longest, now - self._since)
        self._started, self._since, self._waited = self._started + 1, now, 0.0

    def _watch(self) -> None:
        while not self._ended.wait(max(0.0, self._due() - time.monotonic())):
            if time.monotonic() >= self._due():
                self._waited = time.monotonic() - self._since
                _log.warning("%s", self._report())

    def _due(self) -> float:
        """Return the time of the next report; it moves on while iterations finish."""
        return self._since + max(_PATIENCE_S, _SLOW * self._longest, _GROWTH * self._waited)

    def _report(self) -> str:
        """Return for how long no iteration has finished, and what the watched thread does now."""
        waited, frame = self._waited, sys._current_frames().get(self._watched)
        why = " (the first one may take minutes, to compile code or to load data)" if self._started <= 1 else ""
        slots = self._slots_in(frame)
        where = f"\n  it is in {' or '.join(slots)}" if slots else ""
        stack = "".join(traceback.format_stack(frame, _MOST_FRAMES)) if frame else ""
        return f"no iteration has finished for {waited:.0f} s{why}; the run continues{where}. Its stack:\n{stack}"

    def _slots_in(self, frame: FrameType | None) -> list[str]:
        """Return the innermost component in a stack: its slot, in words, or all slots that have the same class."""
        in_phases = (self._recipe.for_phase(name) for name in self._recipe.phases)
        slots = {str(slot): slot.cls for recipe in in_phases for slot in recipe.slots()}
        while frame is not None:
            component = type(first_argument(frame))
            found = [slot for slot, cls in slots.items() if cls is component]
            if found:
                return found
            frame = frame.f_back
        return []
