"""Line charts as inline SVG: means as lines, the range of each group of iterations as a band.

A charting library draws nothing without JavaScript, and weighs from 50 kB to 4 MB. These charts are paths that every
browser and printer shows; the script of the page only adds the values under the pointer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import attrs
import numpy as np
from markupsafe import Markup

from mtrack_log.text import count
from mtrack_report.history import Column, Curve
from mtrack_report.markup import joined, tag
from mtrack_report.quantities import DisplayUnit

WIDTH, HEIGHT = 400, 168
LEFT, RIGHT, TOP, BOTTOM = 48, 8, 16, 24
_MOST_TICKS = 5
_NAME = 60  # width that the name of a phase may need
COLOURS = 6
"""Different colours of lines; further runs repeat them."""


@attrs.frozen(eq=False)
class Line:
    """One run, or a group of runs, in a chart."""

    run: int
    """Number of the run or group, which chooses the colour."""
    frames: Column
    """[P] x axis."""
    curve: Curve
    members: Sequence[tuple[Column, Column]] = ()
    """Frames and values of single runs, if this is a group of runs."""


@attrs.frozen(eq=False)
class Axis:
    """The x axis that all charts of a page share."""

    most: float
    """Frames at its right end."""
    phases: Sequence[tuple[float, str]]
    """Frames at which phases begin, and their names."""

    def at(self, frames: Column | float) -> Any:
        """Return positions in a chart."""
        return LEFT + (WIDTH - LEFT - RIGHT) * np.asarray(frames) / max(self.most, 1.0)


def chart(name: str, quantity: DisplayUnit, lines: Sequence[Line], axis: Axis, label: str) -> Markup:
    """Return a chart of one metric; `label` describes it for people who do not see it."""
    low, high = _range(lines)
    inner = HEIGHT - TOP - BOTTOM

    def y(values: Any) -> Any:
        return TOP + inner * (1.0 - (np.asarray(values) - low) / (high - low))

    parts: list[Markup] = []
    for tick in ticks(low, high):
        level = f"{float(y(tick)):.1f}"
        parts.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=level, y2=level, class_="grid"))
        parts.append(tag("text", quantity.tick(tick, high - low), x=LEFT - 5, y=level, class_="y"))
    for frames, phase in axis.phases:
        at = float(axis.at(frames))
        if frames > 0:
            parts.append(tag("line", x1=f"{at:.1f}", x2=f"{at:.1f}", y1=TOP - 14, y2=HEIGHT - BOTTOM, class_="phase"))
        is_late = at > WIDTH - _NAME  # its name would not fit to the right of its line
        style = "phase-name before" if is_late else "phase-name"
        parts.append(tag("text", phase, x=f"{at - 3 if is_late else at + 2:.1f}", y=TOP - 6, class_=style))
    parts += [
        tag("text", count(round(frames)), x=f"{float(axis.at(frames)):.1f}", y=HEIGHT - 7, class_="x")
        for frames in ticks(0.0, axis.most)[:-1]
    ]
    parts.append(tag("text", "frames", x=WIDTH - RIGHT, y=HEIGHT - 7, class_="x end"))
    drawn = [_drawn(line, axis, y) for line in lines]
    body = tag("g", (band for band, _ in drawn), (path for _, path in drawn), clip_path="url(#plot)")
    return tag(
        "svg",
        *parts,
        body,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=label,
        data_chart=name,
    )


def _drawn(line: Line, axis: Axis, y: Any) -> tuple[Markup, Markup]:
    """Return the band and the line of one run; the band of a group includes its single runs."""
    x, colour = axis.at(line.frames), f"run{line.run % COLOURS}"
    low, high, mean = (y(values) for values in (line.curve.low, line.curve.high, line.curve.mean))
    band = Markup("")
    known = ~np.isnan(mean)
    if (line.curve.high - line.curve.low)[known].any():
        outlines = (
            f"M{_points(x[part], high[part])}L{_points(x[part][::-1], low[part][::-1])}Z" for part in _parts(known)
        )
        band = tag("path", d="".join(outlines), class_=f"band {colour}")
    single = "".join(_path(axis.at(frames), y(values)) for frames, values in line.members)
    thin = tag("path", d=single, class_=f"member {colour}") if single else ""
    return joined(band, thin), tag("path", d=_path(x, mean), class_=f"line {colour}")


def _path(x: Any, values: Any) -> str:
    return "".join(f"M{_points(x[part], values[part])}" for part in _parts(~np.isnan(values)))


def _parts(known: Any) -> Iterator[slice]:
    """Yield the stretches without a gap."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], known, [False]))))
    for first, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        yield slice(first, end)


def _points(x: Any, y: Any) -> str:
    """Return points of a path; a single one becomes a short line, which can be seen."""
    y = np.clip(y, -HEIGHT, 2 * HEIGHT)
    points = "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x.tolist(), y.tolist(), strict=True))
    return points if len(x) > 1 else f"{points}h2"


def _range(lines: Sequence[Line]) -> tuple[float, float]:
    """Return the range of the y axis: that of all means and of all single runs of groups, with a margin."""
    drawn = [values for line in lines for values in (line.curve.mean, *(each for _, each in line.members))]
    finite = [values[np.isfinite(values)] for values in drawn]
    values = np.concatenate(finite) if finite else np.zeros(0)
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    if high - low < 1e-9 * max(1.0, abs(high)):
        low, high = (0.0, 1.0) if high == 0.0 else (low - 0.1 * abs(high), high + 0.1 * abs(high))
        return low, high
    floor = 0.0 if 0.0 <= low < 0.04 * (high - low) else low - 0.04 * (high - low)
    return floor, high + 0.06 * (high - low)


def ticks(low: float, high: float) -> list[float]:
    """Return round numbers between two values, at most six."""
    span = high - low
    if not span > 0.0:
        return [low]
    raw = span / _MOST_TICKS
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]


def clip_to_plot() -> Markup:
    """Return the definition that keeps lines inside the axes of all charts."""
    box = tag("rect", x=LEFT, y=0, width=WIDTH - LEFT - RIGHT + 2, height=HEIGHT - BOTTOM + 2)
    return tag("svg", tag("defs", tag("clipPath", box, id="plot")), width=0, height=0, class_="definitions")


def hover_values(curve: Curve) -> list[list[float | None]]:
    """Return means, smallest and largest values with four digits, for the script."""
    return [[_rounded(value) for value in part.tolist()] for part in (curve.mean, curve.low, curve.high)]


def _rounded(value: float) -> float | None:
    return float(f"{value:.4g}") if math.isfinite(value) else None


def newest(curve: Curve) -> float:
    """Return the last known mean; NaN if it is unknown."""
    known = curve.mean[~np.isnan(curve.mean)]
    return float(known[-1]) if len(known) else math.nan


def legend(names: Sequence[str]) -> Markup:
    """Return which colour is which run."""
    keys = (tag("span", tag("i", class_=f"key run{i % COLOURS}"), name) for i, name in enumerate(names))
    return joined(tag("p", keys, class_="legend"))
