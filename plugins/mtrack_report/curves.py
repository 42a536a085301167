"""The curves of all metrics, in groups that can be folded, with a search box."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import numpy as np
from markupsafe import Markup

from mtrack_report.charts import Axis, Line, chart, clip_to_plot, hover_values, legend, newest
from mtrack_report.markup import data_block, folded, joined, note, section, tag
from mtrack_report.quantities import of_training
from mtrack_report.run_facts import RunFacts


@attrs.frozen
class _Group:
    """A group of metrics on the page."""

    title: str
    about: str
    has: Callable[[str], bool]
    is_open: bool = False


_GROUPS = (
    _Group(
        "Tracking errors",
        "Means over environments and control steps, while training, with exploration and randomization.",
        lambda name: name.startswith("tracking/"),
        True,
    ),
    _Group(
        "Episodes",
        "How episodes end and how long they are.",
        lambda name: name.startswith(("episode/", "termination/", "env/")),
        True,
    ),
    _Group(
        "Reward groups",
        "The sum of the terms of each group, as the learner uses it.",
        lambda name: name.startswith("reward/") and name.count("/") == 1,
        True,
    ),
    _Group(
        "Reward terms",
        "Each term as the learner uses it: times weight, scale of the group and control step.",
        lambda name: name.startswith("reward/"),
        True,
    ),
    _Group(
        "Clips and coverage",
        "Shares of the clips that were seen, learnt (at least 90 % of episodes do not fail) and failing (less than "
        "50 %), and the success of the clips that fail most.",
        lambda name: name.startswith(("coverage/", "clip/")),
        True,
    ),
    _Group(
        "Reward terms, unweighted",
        "What each component returned.",
        lambda name: name.startswith("reward_raw/"),
    ),
    _Group("Physics", "Faults that the physics engine reports.", lambda name: name.startswith("physics/")),
    _Group("Time", "Duration of the parts of an iteration, and speed.", lambda name: name.startswith("time/")),
    _Group("Learning", "Losses and other numbers of the learner.", lambda name: True),
)


def curves(runs: Sequence[RunFacts], labels: Sequence[str] = ("",)) -> Markup:
    """Return the section with a chart of every metric that any of the runs has logged; several runs have labels."""
    shown = [(index, run) for index, run in enumerate(runs) if len(run.history.frames)]
    if not shown:
        return section("curves", "Curves", note("There are no curves: see the remarks at the top of this page."))
    starts = {index: run.history.starts() for index, run in shown}
    frames = {index: run.history.frames[_ends(starts[index], run)] for index, run in shown}
    axis = Axis(max(float(points[-1]) for points in frames.values()), _phases([run for _, run in shown]))
    names = dict.fromkeys(name for _, run in shown for name in run.history.columns)
    data: dict[str, Any] = {"runs": [None for _ in runs], "charts": {}}
    for index, run in shown:
        phases = _phase_of(run, starts[index])
        data["runs"][index] = {"name": labels[index], "frames": frames[index].tolist(), "phase": phases}
    figures: dict[str, list[Markup]] = {group.title: [] for group in _GROUPS}
    for name in names:
        lines = [
            Line(index, frames[index], run.history.curve(name, starts[index]))
            for index, run in shown
            if name in run.history.columns
        ]
        quantity = of_training(name)
        data["charts"][name] = {
            "unit": quantity.unit,
            "factor": quantity.factor,
            "runs": {str(line.run): hover_values(line.curve) for line in lines},
        }
        figures[next(group.title for group in _GROUPS if group.has(name))].append(_figure(name, lines, axis))
    search = tag(
        "p",
        Markup('<input type="search" id="search" placeholder="Search {} curves" aria-label="Search curves">').format(
            len(names)
        ),
        tag("span", id="found", aria_live="polite"),
        class_="search script-only",
    )
    groups = (
        folded(
            joined(f"{group.title} ", tag("small", f"{len(figures[group.title])}")),
            tag("p", group.about, class_="about"),
            tag("div", *figures[group.title], class_="charts"),
            is_open=group.is_open,
        )
        for group in _GROUPS
        if figures[group.title]
    )
    key = legend(labels) if len(runs) > 1 else ""
    return section("curves", "Curves", _about(starts), key, clip_to_plot(), search, *groups, data_block("data", data))


def _figure(name: str, lines: Sequence[Line], axis: Axis) -> Markup:
    quantity = of_training(name)
    newest_values = ", ".join(quantity.shown(newest(line.curve)) for line in lines)
    folder, _, title = name.rpartition("/")
    caption = tag(
        "figcaption",
        tag("span", tag("small", f"{folder}/") if folder else "", title, class_="metric"),
        tag("output", newest_values if len(lines) == 1 else "", title="newest value"),
    )
    drawing = chart(name, quantity, lines, axis, f"{name}: newest value {newest_values}")
    return tag("figure", caption, drawing, data_name=name)


def _about(starts: dict[int, Any]) -> Markup:
    text = "Frames are environment steps, counted over all phases; dashed lines mark where a phase begins."
    if max(len(points) for points in starts.values()) >= 100:
        text += " A point is the mean of some iterations; the band around a line is their range."
    return tag("p", text, class_="about")


def _ends(starts: Any, run: RunFacts) -> Any:
    """Return the last row of each point of a curve."""
    return np.append(starts[1:], len(run.history.frames)) - 1


def _phases(runs: Sequence[RunFacts]) -> list[tuple[float, str]]:
    """Return where the phases begin: of all runs, each once."""
    found: dict[tuple[float, str], None] = {}
    for run in runs:
        for stretch in run.history.stretches:
            begin = float(run.history.frames[stretch.first - 1]) if stretch.first else 0.0
            found[begin, stretch.phase] = None
    return list(found)


def _phase_of(run: RunFacts, starts: Any) -> list[str]:
    """Return the phase of each point of a curve."""
    names = [stretch.phase for stretch in run.history.stretches]
    firsts = [stretch.first for stretch in run.history.stretches]
    return [names[index] for index in (np.searchsorted(firsts, starts, side="right") - 1).tolist()]


def newest_of(run: RunFacts, name: str) -> str:
    """Return the newest value of a metric with its unit; empty if it is unknown."""
    value = run.history.last(name)
    return of_training(name).shown(value) if math.isfinite(value) else ""
