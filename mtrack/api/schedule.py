"""Numbers that change over the course of a phase."""

from __future__ import annotations

from typing import Literal

import attrs


@attrs.frozen
class Schedule:
    """A number that changes from `start` to `end` over a phase, or stays constant.

    In TOML it is `0.01` or `{from = 1.0, to = 0.1, shape = "exp"}`.
    """

    start: float
    end: float
    shape: Literal["linear", "exp"] = "linear"

    def __attrs_post_init__(self) -> None:
        """Reject an exponential schedule that reaches or crosses 0."""
        if self.shape == "exp" and self.start * self.end <= 0:
            raise ValueError("an 'exp' schedule needs two numbers of the same sign, neither of them 0")

    @staticmethod
    def constant(value: float) -> Schedule:
        """Return the schedule of a constant number."""
        return Schedule(value, value)

    def at(self, progress: float) -> float:
        """Return the value at a progress in [0, 1]."""
        if self.shape == "exp":
            return float(self.start * (self.end / self.start) ** progress)
        return self.start + (self.end - self.start) * progress
