"""All figures of an iteration under one name each, as chart servers want them."""

from __future__ import annotations

from mtrack import Metrics


def flat(metrics: Metrics) -> dict[str, float]:
    """Return the values, the timings under `time/`, and the rate."""
    times = {f"time/{name}": value for name, value in metrics.timings.items()}
    return {**metrics.values, **times, "time/frames_per_s": metrics.frames_per_s}
