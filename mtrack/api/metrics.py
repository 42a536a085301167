"""The metrics of one iteration, as loggers receive them, and the names of metrics that the kernel reads."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from mtrack.api.until import HELD, Until

DIVERGED = "env/diverged"
"""Number of environment steps of an iteration, over all processes, in which the simulation diverged."""
SKIPPED = "update/skipped"
"""Share of the optimiser steps of an update, 0 to 1, that were skipped because loss or gradient was not finite.

With several optimisers it is the largest share. A phase that never skips a step need not return it.
"""
ROLLBACKS = "update/rollbacks"
"""Number of rollbacks of the phase so far, each of which has halved the learning rate; only reported after one."""
LEFT_OUT = "update/left_out"
"""Number of absurd observations and returns that no normaliser learned from in an update; only reported if not 0."""

RAW_REWARD = "reward_raw"
"""Prefix of the unweighted rewards: `reward_raw/GROUP/SLOT` is the mean of what a component returned.

`reward/GROUP/SLOT` is the same mean times the weight, the scale of the group and the control step. These add up to
`reward/GROUP`. All are means over environments and control steps.
"""


@attrs.frozen
class Metrics:
    """Progress and metrics of a run after one iteration."""

    phase: str
    """Slot name of the phase."""
    iteration: int
    """Completed iterations of this phase."""
    iterations: int
    """Total iterations of this phase."""
    frames: int
    """Completed frames of the run, all phases and processes."""
    frames_per_s: float
    """Frames per second of the last iterations, all processes."""
    eta_s: float
    """Remaining time of this phase at that rate [s]."""
    values: Mapping[str, float]
    """Metrics by name, e.g. `reward/tracking/root_pos`, `episode/length`, `loss/policy`."""
    timings: Mapping[str, float]
    """Duration of each part of the iteration [s], e.g. `rollout`. Unlike `values`, these differ between equal runs."""
    until: Until | None = None
    """What ends this phase before all its iterations, if anything does. `values` then has `until/held_frames`."""

    @property
    def is_last(self) -> bool:
        """Whether the phase ends with this iteration."""
        has_learned = self.until is not None and self.values.get(HELD, 0.0) >= self.until.patience
        return has_learned or self.iteration >= self.iterations
