"""Counts for how long the metrics of an `until` have been past their bounds, to end a phase before its frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from mtrack.api.distributed import all_reduce_min
from mtrack.api.until import Until


@attrs.define(eq=False)
class EarlyEnd:
    """The early end of one phase; all processes count the same."""

    until: Until
    held_frames: int = 0
    """Frames in a row, up to now, in which every metric was past its bound."""

    @staticmethod
    def of(until: Until | None) -> EarlyEnd | None:
        """Return the early end of a phase; None if the phase has all its frames in any case."""
        return EarlyEnd(until) if until is not None and until.enabled else None

    @property
    def is_due(self) -> bool:
        """Whether the metrics have been past their bounds for long enough."""
        return self.held_frames >= self.until.patience

    def count(self, values: Mapping[str, float], frames: int) -> None:
        """Take in the metrics of an iteration; one without a value neither adds its frames nor starts the count again.

        All processes must call this together.
        """
        holds = self.until.holds(values)
        held = 0 if holds is False else self.held_frames + (frames if holds else 0)
        self.held_frames = all_reduce_min(held)  # metrics are equal in all processes; if not, all end together too

    def state(self) -> dict[str, Any]:
        """Return the count and what was counted, for a checkpoint."""
        return {"held_frames": self.held_frames, "above": self.until.above, "below": self.until.below}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Continue the count of a checkpoint, unless the bounds have changed since."""
        is_same = saved.get("above") == self.until.above and saved.get("below") == self.until.below
        self.held_frames = saved["held_frames"] if is_same else 0

    def __str__(self) -> str:
        """Return why a phase that has ended did so, in words."""
        if self.is_due:
            return f"with {self.until} for {self.held_frames:,} frames in a row"
        return f"without {self.until} for {self.until.patience:,} frames in a row"
