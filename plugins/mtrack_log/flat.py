"""All metrics and timings of an iteration in one flat mapping, for chart servers."""

from __future__ import annotations

from mtrack import Metrics


def flat(metrics: Metrics) -> dict[str, float]:
    """Return the values, the timings as `time/NAME`, and the rate as `time/frames_per_s`."""
    times = {f"time/{name}": value for name, value in metrics.timings.items()}
    return {**metrics.values, **times, "time/frames_per_s": metrics.frames_per_s}
