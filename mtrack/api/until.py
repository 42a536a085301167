"""When a phase has learned enough to end before its frames: metrics past their bounds, for a number of frames."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import attrs

from mtrack.api.fields import positive

HELD = "until/held_frames"
"""Metric of a phase with `until`: frames in a row, up to now, in which every metric was past its bound."""


@attrs.frozen(kw_only=True)
class Until:
    """Ends a phase before its frames: once metrics have been past their bounds for some frames in a row."""

    above: dict[str, float] = attrs.field(factory=dict)
    """Metrics that must be greater than a number, e.g. `{ "coverage/learnt" = 0.99 }`."""
    below: dict[str, float] = attrs.field(factory=dict)
    """Metrics that must be less than a number, e.g. `{ "tracking/keypoint_pos_m" = 0.012 }`."""
    patience: int = attrs.field(default=100_000, validator=positive)
    """Frames in a row, of all environments and processes, in which every metric must be past its bound."""
    enabled: bool = True
    """Whether it ends the phase."""

    def __attrs_post_init__(self) -> None:
        """Reject conditions that are missing, or that no number fulfils."""
        if self.enabled and not self.metrics:
            raise ValueError('expected the bound of a metric: below = { "METRIC" = NUMBER }, or above')
        for name in self.above.keys() & self.below.keys():
            if self.above[name] >= self.below[name]:
                raise ValueError(f"{name} cannot be above {self.above[name]:g} and below {self.below[name]:g}")

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics it depends on."""
        return tuple(dict.fromkeys([*self.above, *self.below]))

    def conditions(self) -> Iterator[tuple[str, str]]:
        """Yield each metric with its bound in words: `above 0.99`."""
        yield from ((name, f"above {bound:g}") for name, bound in self.above.items())
        yield from ((name, f"below {bound:g}") for name, bound in self.below.items())

    def holds(self, values: Mapping[str, float]) -> bool | None:
        """Return whether every metric is past its bound in an iteration.

        It returns None if one is missing or NaN (no episode has ended, for example) and no other is short of its bound.
        """
        given = {name: values.get(name, math.nan) for name in self.metrics}
        past = [given[name] > bound for name, bound in self.above.items() if not math.isnan(given[name])]
        past += [given[name] < bound for name, bound in self.below.items() if not math.isnan(given[name])]
        if not all(past):
            return False
        return None if any(map(math.isnan, given.values())) else True

    def __str__(self) -> str:
        """Return e.g. `coverage/learnt above 0.99 and tracking/keypoint_pos_m below 0.012`."""
        return " and ".join(f"{name} {bound}" for name, bound in self.conditions())
