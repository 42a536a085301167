"""Figures as people read them: numbers, shares, durations."""

from __future__ import annotations

import math
from pathlib import Path

from mtrack import Metrics
from mtrack.api.metrics import DIVERGED, LEFT_OUT, ROLLBACKS, SKIPPED
from mtrack.api.until import HELD

_SHARES = ("episode/completed", "termination/", "coverage/", "clip/", SKIPPED)
_PHYSICS = "physics/"  # shares of environment steps with a warning of the physics engine
FAULTS = {DIVERGED: "diverged", SKIPPED: "skipped", LEFT_OUT: "absurd values", ROLLBACKS: "rollbacks"}
"""Metrics that count faults of an iteration, with their labels; shown if they are not 0."""


def number(value: float) -> str:
    """Return a value with three significant digits, without an exponent if that is readable."""
    size = abs(value)
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if size >= 1000:
        return f"{value:,.0f}"
    if size < 0.0005:
        return f"{value:.1e}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(size)))}f}"


def formatted(name: str, value: float) -> str:
    """Return the value of a metric as text, in per cent if it is a share."""
    return per_cent(value) if name.startswith(_SHARES) and math.isfinite(value) else number(value)


def per_cent(share: float) -> str:
    """Return a share in [0, 1] in whole per cent."""
    return f"{100 * share:.0f} %"


def count(value: int) -> str:
    """Return a large count: 812, 45.2 k, 1.23 M, 2.10 G."""
    if value < 10_000:
        return f"{value:,}"
    factor, unit = next(pair for pair in ((10**9, "G"), (10**6, "M"), (10**3, "k")) if value >= pair[0])
    return f"{number(value / factor)} {unit}"


def duration(seconds: float) -> str:
    """Return a time in its two largest units: 3 d 4 h, 2 h 14 min, 3 min 20 s, 12 s."""
    if not math.isfinite(seconds):
        return "unknown"
    whole = max(0, round(seconds))
    for size, unit, smaller, name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // smaller} {name}"
    return f"{whole} s"


def from_here(path: Path) -> Path:
    """Return a path relative to the working directory if it is inside it, else unchanged."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def plain_line(metrics: Metrics) -> str:
    """Return one line for logs: progress, rate, ETA and the metrics that show whether the run learns."""
    values = metrics.values
    groups = [name for name in values if name.startswith("reward/") and name.count("/") == 1]
    shown = {
        "return": "episode/return",
        "length": "episode/length",
        "completed": "episode/completed",
        **{f"reward {name.partition('/')[2]}": name for name in groups},
        **{name.partition("/")[2]: name for name in values if name.startswith(("tracking/", "adapt/"))},
        "clips learnt": "coverage/learnt",
        "failing": "coverage/failing",
    }
    parts = [f"{label} {formatted(name, values[name])}" for label, name in shown.items() if name in values]
    parts += [f"{label} {formatted(name, values[name])}" for name, label in FAULTS.items() if values.get(name)]
    parts += [
        f"{name.partition('/')[2]} {number(100.0 * value)} %"
        for name, value in values.items()
        if name.startswith(_PHYSICS) and value
    ]
    head = f"{metrics.phase} {metrics.iteration}/{metrics.iterations}"
    rate = f"{metrics.frames_per_s:,.0f} frames/s  ETA {duration(metrics.eta_s)}"
    parts += filter(None, [until_progress(metrics)])
    return f"{head}  {rate}" + ("  | " + "  ".join(parts) if parts else "")


def until_progress(metrics: Metrics) -> str:
    """Return how close a phase is to its early end; "" if it has none.

    For example `until 41.2 k of 100 k frames with tracking/keypoint_pos_m 0.0131 (below 0.012)`.
    """
    if metrics.until is None:
        return ""
    values = {name: number(metrics.values[name]) if name in metrics.values else "-" for name in metrics.until.metrics}
    conditions = [f"{name} {values[name]} ({bound})" for name, bound in metrics.until.conditions()]
    held = count(round(metrics.values.get(HELD, 0.0)))
    return f"until {held} of {count(metrics.until.patience)} frames with {', '.join(conditions)}"
