"""The curves of all metrics, in groups that can be folded, with a search box."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
from markupsafe import Markup

from mtrack_report.charts import Axis, Line, chart, clip_to_plot, hover_values, legend, newest
from mtrack_report.markup import data_block, folded, joined, note, section, tag
from mtrack_report.quantities import of_training
from mtrack_report.run_facts import RunFacts
from mtrack_report.series import Series, all_series


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


def curves(groups: Mapping[str, Mapping[str, RunFacts]], *, is_aggregated: bool = False) -> Markup:
    """Return the section with a chart of every metric that any of the runs has logged.

    There is one line per run, or per group of runs if they are aggregated.
    """
    series = all_series(groups, is_aggregated)
    shown = [(index, one) for index, one in enumerate(series.values()) if one]
    if not shown:
        return section("curves", "Curves", note("There are no curves: see the remarks at the top of this page."))
    axis = Axis(max(float(one.frames[-1]) for _, one in shown), _phases([one for _, one in shown]))
    names = dict.fromkeys(name for _, one in shown for name in one.metrics)
    data: dict[str, Any] = {"runs": [None for _ in series], "charts": {}}
    for index, one in shown:
        data["runs"][index] = {"name": one.name, "frames": one.frames.tolist(), "phase": one.phases}
    figures: dict[str, list[Markup]] = {group.title: [] for group in _GROUPS}
    for name in names:
        lines = [
            Line(index, one.frames, one.curve(name), one.members(name)) for index, one in shown if name in one.metrics
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
    blocks = (
        folded(
            joined(f"{group.title} ", tag("small", f"{len(figures[group.title])}")),
            tag("p", group.about, class_="about"),
            tag("div", *figures[group.title], class_="charts"),
            is_open=group.is_open,
        )
        for group in _GROUPS
        if figures[group.title]
    )
    key = legend(list(series)) if len(series) > 1 else ""
    about = _about([one for _, one in shown], is_aggregated)
    return section("curves", "Curves", about, key, clip_to_plot(), search, *blocks, data_block("data", data))


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


def _about(series: Sequence[Series], is_aggregated: bool) -> Markup:
    text = "Frames are environment steps, counted over all phases; dashed lines mark where a phase begins."
    if is_aggregated:
        text += (
            " A line is the median of the runs, which are aligned by frames, the band around it is their range, and "
            "thin lines are single runs."
        )
    if max(len(one.frames) for one in series) >= 100:
        text += " A point is the mean of some iterations."
        text += "" if is_aggregated else " The band around a line is their range."
    return tag("p", text, class_="about")


def _phases(series: Sequence[Series]) -> list[tuple[float, str]]:
    """Return where the phases begin: of all series, each once."""
    return list(dict.fromkeys(begin for one in series for begin in one.begins))


def newest_of(run: RunFacts, name: str) -> str:
    """Return the newest value of a metric with its unit; empty if it is unknown."""
    value = run.history.last(name)
    return of_training(name).shown(value) if math.isfinite(value) else ""
