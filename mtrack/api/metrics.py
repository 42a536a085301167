"""The metrics of one iteration, as loggers receive them, and the names of those that the kernel itself looks at."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

DIVERGED = "env/diverged"
"""Environment steps of an iteration, of all environments and processes, in which the simulation diverged."""
SKIPPED = "update/skipped"
"""Share of the optimiser steps of an update that a phase skipped because loss or gradient was not finite, 0 to 1.

With several optimisers, the largest of their shares. Optional: a phase that skips nothing need not return it.
"""

RAW_REWARD = "reward_raw"
"""First part of the names of reward terms as their components return them.

`reward/GROUP/SLOT` is the term as it counts: times its weight, its group's scale and the control step. These add up to
`reward/GROUP`. All are means over environments and control steps.
"""


@attrs.frozen
class Metrics:
    """Where the run stands after one iteration, and its figures."""

    phase: str
    """Slot name of the phase."""
    iteration: int
    """Iterations done in this phase."""
    iterations: int
    """Iterations this phase will have."""
    frames: int
    """Frames done in the whole run, all processes."""
    frames_per_s: float
    """Over the last iterations."""
    eta_s: float
    """Time this phase still needs at that rate [s]."""
    values: Mapping[str, float]
    """Name to value: `reward/tracking/root_pos`, `episode/length`, `loss/policy`, ..."""
    timings: Mapping[str, float]
    """Seconds of the iteration by part; the only figures that differ between equal runs."""
