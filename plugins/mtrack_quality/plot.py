"""Plots a clip: lowest point, contact, speeds, limits and overlaps over time, one below the other."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from mtrack_quality.clip_quality import ClipQuality
from mtrack_quality.measure import CLEAR, Flags, Measures, runs

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INK, _GREY, _BAD, _WARN, _GOOD = "#22303c", "#8a94a0", "#c0392b", "#e39c27", "#2e8b57"
_SIDES = ("#1f6fb2", "#d1640f", "#6b4fa1", "#3d7d3d")
_SHOWN_JOINTS = 3
_DEEP = 0.01  # m
_SLIDING = 0.2  # m/s
_WIDTH, _DPI, _WRAP = 10.0, 110, 150
_STYLE: dict[Any, Any] = {  # matplotlib has a type of its own for the keys
    "font.size": 9.0,
    "axes.edgecolor": _GREY,
    "axes.labelcolor": _INK,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e9ec",
    "axes.axisbelow": True,
}


def draw(quality: ClipQuality, path: Path) -> None:
    """Write the plot of a measured clip to a PNG file. Raises OSError."""
    m = quality.measures
    assert m is not None
    words = [f"• {problem.kind.replace('_', ' ')}: {problem.text}" for problem in quality.problems]
    if quality.unusable:
        words.insert(0, f"• left out: {quality.unusable}")
    report = "\n".join(textwrap.fill(word, _WRAP, subsequent_indent="   ") for word in words) or "no problems found"
    lines = report.count("\n") + 1
    ratios = (3.0, 1.1, 1.2, 2.0, 2.0, 1.2)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, 9.6 + 0.16 * lines), dpi=_DPI)
        top = 1.0 - (0.75 + 0.16 * lines) / figure.get_figheight()
        axes = figure.subplots(len(ratios), 1, sharex=True, height_ratios=ratios)
        figure.subplots_adjust(left=0.085, right=0.84, top=top, bottom=0.06, hspace=0.28)
        colour = {"good": _GOOD, "flawed": _WARN, "unusable": _BAD}[quality.verdict]
        figure.text(0.02, 1.0 - 0.2 / figure.get_figheight(), quality.name, fontsize=13, weight="bold", va="top")
        facts = f"{quality.verdict}   {quality.frames} frames, {quality.seconds:.2f} s at {m.fps:g} fps"
        figure.text(0.98, 1.0 - 0.22 / figure.get_figheight(), facts, color=colour, weight="bold", va="top", ha="right")
        figure.text(0.02, 1.0 - 0.52 / figure.get_figheight(), report, fontsize=8, va="top", linespacing=1.25)
        for axis, panel in zip(axes, (_heights, _contact, _root, _speeds, _limits, _overlap), strict=True):
            panel(axis, m)
            axis.margins(x=0.0)
        figure.align_ylabels(axes)
        axes[-1].set_xlabel("time [s]")
        figure.savefig(path)


def _heights(axis: Axes, m: Measures) -> None:
    """Draw the lowest points of feet and robot above the floor."""
    time, cm = m.time, 100.0
    for sole, name, colour in zip(m.soles.T, _sides(m.feet), _SIDES, strict=False):
        axis.plot(time, sole * cm, color=colour, linewidth=1.2, label=f"{name} sole")
    axis.plot(time, m.lowest * cm, color=_INK, linewidth=2.0, alpha=0.55, label="lowest point")
    top = max(12.0, min(60.0, float(m.soles.max()) * cm * 1.05))
    bottom = min(-3.0, float(m.lowest.min()) * cm * 1.2)
    axis.set_ylim(bottom, top)
    axis.axhspan(bottom, 0.0, color="#d9c9b4", alpha=0.5, linewidth=0)
    axis.axhline(0.0, color="#7b6a52", linewidth=1.2)
    axis.fill_between(time, m.lowest * cm, 0.0, where=(m.lowest < -_DEEP).tolist(), color=_BAD, alpha=0.8, linewidth=0)
    _mark(axis, m, m.hovers, _WARN, 0.16, "touches nothing")
    axis.axhline(m.ground * cm, color=_GOOD, linewidth=1.2, linestyle="--", label=f"own floor {m.ground * cm:+.1f} cm")
    axis.set_ylabel("height [cm]")
    axis.set_title("lowest point above the floor", loc="left", fontsize=9, weight="bold")
    _legend(axis)


def _contact(axis: Axes, m: Measures) -> None:
    """Draw when which foot is in contact, and whether it slides."""
    for row, name in enumerate(_sides(m.feet)):
        sliding = m.touches[:, row] & (np.nan_to_num(m.slides[:, row]) > _SLIDING)
        for flags, colour in ((m.touches[:, row], _GOOD), (sliding, _BAD)):
            spans = [(first / m.fps, (end - first) / m.fps) for first, end in runs(flags)]
            axis.broken_barh(spans, (row - 0.36, 0.72), color=colour, linewidth=0)
        axis.text(-0.008, row, name, transform=axis.get_yaxis_transform(), ha="right", va="center")
    axis.set_ylim(len(m.feet) - 0.5, -0.5)
    axis.set_yticks([])
    axis.grid(visible=False)
    for label, colour in (("touches", _GOOD), (f"slides > {_SLIDING:g} m/s", _BAD)):
        axis.plot([], [], color=colour, linewidth=6, label=label)
    axis.set_title("contact with its own floor", loc="left", fontsize=9, weight="bold")
    _legend(axis)


def _root(axis: Axes, m: Measures) -> None:
    """Draw how fast the root moves and turns."""
    axis.plot(m.time, m.root_speed, color=_SIDES[0], linewidth=1.1, label="moves [m/s]")
    axis.plot(m.time, m.root_turning, color=_SIDES[1], linewidth=1.1, label="turns [rad/s]")
    axis.set_ylim(bottom=0.0)
    axis.set_ylabel("speed")
    axis.set_title("root", loc="left", fontsize=9, weight="bold")
    _legend(axis)


def _speeds(axis: Axes, m: Measures) -> None:
    """Draw the fastest joints, as shares of their limits."""
    worst = np.argsort(-m.joint_speed.max(axis=0))[:_SHOWN_JOINTS]
    for joint, colour in zip(worst, _SIDES, strict=False):
        axis.plot(m.time, 100.0 * m.joint_speed[:, joint], color=colour, linewidth=1.1, label=_short(m.joints[joint]))
    axis.plot(m.time, 100.0 * m.joint_speed.max(axis=1), color=_GREY, linewidth=0.8, zorder=1, label="fastest of all")
    _limit(axis, 100.0, float(m.joint_speed.max()) * 100.0, "speed limit")
    axis.set_ylim(bottom=0.0)
    axis.set_ylabel("% of limit")
    axis.set_title("joint speeds", loc="left", fontsize=9, weight="bold")
    _legend(axis)


def _limits(axis: Axes, m: Measures) -> None:
    """Draw the joints nearest to the ends of their ranges."""
    worst = np.argsort(m.margin.min(axis=0))[:_SHOWN_JOINTS]
    for joint, colour in zip(worst, _SIDES, strict=False):
        axis.plot(m.time, m.margin[:, joint], color=colour, linewidth=1.1, label=_short(m.joints[joint]))
    nearest = m.margin.min(axis=1)
    axis.plot(m.time, nearest, color=_GREY, linewidth=0.8, zorder=1, label="nearest of all")
    axis.fill_between(m.time, nearest, 0.0, where=(nearest < 0.0).tolist(), color=_BAD, alpha=0.8, linewidth=0)
    axis.axhline(0.0, color=_BAD, linewidth=1.0, linestyle="--", label="end of range")
    axis.set_ylim(bottom=min(-0.05, 1.1 * float(nearest.min())))
    axis.set_ylabel("margin [rad]")
    axis.set_title("joint limits: distance to the nearer end", loc="left", fontsize=9, weight="bold")
    _legend(axis)


def _overlap(axis: Axes, m: Measures) -> None:
    """Draw how deep links overlap."""
    axis.fill_between(m.time, 100.0 * m.overlap, color=_GREY, alpha=0.6, linewidth=0)
    deep = (m.overlap > _DEEP).tolist()
    axis.fill_between(m.time, 100.0 * m.overlap, where=deep, color=_BAD, alpha=0.8, linewidth=0)
    deepest = int(m.overlap.argmax())
    if pair := m.pair[deepest]:
        colour = _BAD if m.overlap[deepest] > _DEEP else _GREY
        axis.plot([], [], color=colour, linewidth=6, label="\n".join(_short(name) for name in pair.split(" and ")))
        _legend(axis)
    axis.set_ylim(0.0, max(3.0, 110.0 * float(m.overlap[deepest])))
    axis.set_ylabel("depth [cm]")
    axis.set_title("overlap of links", loc="left", fontsize=9, weight="bold")


def _mark(axis: Axes, m: Measures, flags: Flags, colour: str, alpha: float, label: str) -> None:
    for index, (first, end) in enumerate(runs(flags)):
        name = f"{label},\n> {CLEAR * 100:g} cm clear" if index == 0 else None
        axis.axvspan(first / m.fps, end / m.fps, color=colour, alpha=alpha, linewidth=0, label=name)


def _limit(axis: Axes, at: float, reached: float, label: str) -> None:
    """Draw a limit if the values come near it."""
    if reached > 0.5 * at:
        axis.axhline(at, color=_BAD, linewidth=1.0, linestyle="--", label=label)


def _legend(axis: Axes) -> None:
    axis.legend(loc="upper left", bbox_to_anchor=(1.005, 1.08), fontsize=7.5, frameon=False, handlelength=1.4)


def _sides(names: tuple[str, ...]) -> list[str]:
    """Return the words that distinguish names: without common last words."""
    words = [_short(name).split() for name in names]
    while len(words) > 1 and all(len(each) > 1 for each in words) and len({each[-1] for each in words}) == 1:
        words = [each[:-1] for each in words]
    return [" ".join(each) for each in words]


def _short(name: str) -> str:
    return name.removesuffix("_link").removesuffix("_joint").replace("_", " ")
