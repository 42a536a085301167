"""Counts the iterations from which nothing was learned, and the rollbacks that followed: part of a phase's state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

MOST_ROLLBACKS = 3
"""Rollbacks of one phase; if it then stops learning again, the run ends."""
_FUTILE_ITERATIONS = 3  # so many in a row are too many: the iteration after a single one may recover


@attrs.frozen
class Futility:
    """Why nothing was learned from an iteration."""

    reason: str
    """One sentence."""
    remedy: str


@attrs.frozen
class Rollback:
    """One return to an earlier state of the phase."""

    iteration: int
    """The iteration after which it happened."""
    target: str
    """Name of the checkpoint, e.g. `train-0000100`, or `the start of the phase`."""
    reason: str
    """Why nothing had been learned, in one sentence."""

    def __str__(self) -> str:
        """Return it in words."""
        return f"rolled back after iteration {self.iteration} to {self.target}, learning rate halved: {self.reason}"


@attrs.define(eq=False)
class Rollbacks:
    """The rollbacks of one phase; all processes count the same, because their metrics are equal."""

    done: list[Rollback] = attrs.field(factory=list)
    futile: int = 0
    """Latest iterations in a row from which nothing was learned."""

    @property
    def factor(self) -> float:
        """Factor on the learning rates of the recipe."""
        return float(0.5 ** len(self.done))

    def count_futile(self, iterations: int) -> bool:
        """Count an iteration without learning, of a phase of so many. Return whether that has lasted too long."""
        self.futile += 1
        return self.futile >= min(_FUTILE_ITERATIONS, iterations)

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps; empty if there is nothing to keep."""
        if not self.done and not self.futile:
            return {}
        done = [attrs.asdict(rollback) for rollback in self.done]
        return {"futile_iterations": self.futile, "learning_rate_factor": self.factor, "done": done}

    @staticmethod
    def restored(saved: Mapping[str, Any]) -> Rollbacks:
        """Return the rollbacks of a checkpoint."""
        return Rollbacks([Rollback(**one) for one in saved.get("done", ())], saved.get("futile_iterations", 0))
