"""The functions of time that every plan consists of; all are twice continuously differentiable."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

GRAVITY = 9.81
"""m/s^2."""
FPS = 50.0
LEAD = 0.8
"""Rest before and after a motion [s]: time to start a weight shift without a jerk."""


def times(moving: float) -> Array:
    """Return the times of all frames of a clip that moves for `moving` [s], [T] s."""
    return np.arange(round((moving + 2 * LEAD) * FPS) + 1) / FPS


def ease(time: Array, start: float, duration: float) -> Array:
    """Return the minimum-jerk rise from 0 to 1, [T] (Flash and Hogan, J. Neurosci. 1985)."""
    share = np.clip((time - start) / duration, 0, 1)
    return share**3 * (10 - 15 * share + 6 * share**2)


def while_active(time: Array, ramp: float) -> Array:
    """Return 1 during the motion and 0 at rest, with ramps of `ramp` [s] inside the motion, [T]."""
    return ease(time, LEAD, ramp) - ease(time, time[-1] - LEAD - ramp, ramp)


def out_and_back(time: Array, start: float, period: float) -> Array:
    """Return a rise from 0 to 1 and back to 0 in one period, with short pauses, [T]."""
    return ease(time, start, 0.42 * period) - ease(time, start + 0.5 * period, 0.42 * period)


def bump(time: Array, start: float, duration: float) -> Array:
    """Return a bump from 0 to 1 and back whose first two derivatives vanish at both ends, [T]."""
    share = np.clip((time - start) / duration, 0, 1)
    return 64 * (share * (1 - share)) ** 3
