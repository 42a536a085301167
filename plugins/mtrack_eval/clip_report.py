"""An evaluation as JSON and as tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from mtrack.abilities import HasUnit
from mtrack.protocols import Metric
from mtrack_eval.clip_summary import ClipFigures, Figures, Summary, worst_first
from mtrack_eval.conditions import header

_WORST_SHOWN = 20
_PLAIN_WIDTH = 130  # where nothing tells how wide the output is
_ROW_HEAD, _COLUMN = 44, 9  # characters a row of the clip table begins with, and those of each metric
_UNJUDGED = (
    "failures: not judged. Terminations are off, and no metric of the recipe decides success: a robot that falls is "
    "not counted.\nAdd one, such as [metrics.success_height], or score by episodes, with terminations: --episodes 100"
)
_ZERO = 1e-9  # what is smaller is rounding


@attrs.frozen
class Evaluation:
    """Everything an evaluation has to say."""

    run: str
    """Name of its folder; an evaluation holds no path of the machine."""
    checkpoint: str
    """From the folder of the run on."""
    actor: str
    frames: int
    """The run had trained for when the checkpoint was made."""
    rollouts: int
    """Of each clip."""
    conditions: Mapping[str, Any]
    """What varied, as `conditions.conditions` returns it."""
    units: Mapping[str, str]
    """By metric slot."""
    policy: Summary
    baselines: Mapping[str, Summary]
    """By name: `statue`, `zero_action`."""
    distance: str
    """The metric slot clips are ordered by, after failures."""
    judges: Sequence[str]
    """The metric slots that decide whether a rollout has failed."""


def units_of(metrics: Mapping[str, Metric]) -> dict[str, str]:
    """Return the unit of each metric, by slot; empty if it says none."""
    return {slot: metric.unit if isinstance(metric, HasUnit) else "" for slot, metric in metrics.items()}


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """Return what `--json` prints; null is a figure there is none of."""
    policy = evaluation.policy
    failed = [{"clip": c.clip, "failed": c.failed} for c in _ordered(evaluation) if c.failed]
    facts = ("run", "checkpoint", "actor", "frames", "rollouts", "conditions", "units", "judges")
    return {
        **{name: getattr(evaluation, name) for name in facts},
        **_summary(policy, _ordered(evaluation)),
        "failed_clips": failed,
        "baselines": {name: _summary(summary, summary.clips) for name, summary in evaluation.baselines.items()},
    }


def show(evaluation: Evaluation, console: Console) -> None:
    """Print header, clips (worst first) and averages."""
    if not console.is_terminal:
        console.width = max(console.width, _PLAIN_WIDTH)
    for line in _header(evaluation):
        console.print(line, highlight=False, markup=False)
    console.print(_clip_table(evaluation, max(3, (console.width - _ROW_HEAD) // _COLUMN)))
    console.print(_average_table(evaluation))
    failed = [c for c in _ordered(evaluation) if c.failed]
    if not evaluation.judges:
        console.print(_UNJUDGED, highlight=False, markup=False)
        if not failed:
            return
    names = ", ".join(f"{c.clip} ({c.failed:.0%})" for c in failed[:_WORST_SHOWN]) or "none"
    console.print(f"clips with failures: {names}", highlight=False, markup=False)
    if len(failed) > _WORST_SHOWN:
        console.print(f"and {len(failed) - _WORST_SHOWN} more: --json lists them", highlight=False)


def _summary(summary: Summary, clips: Sequence[ClipFigures]) -> dict[str, Any]:
    averages = [field.name for field in attrs.fields(Summary) if field.name != "clips"]
    rows = [
        {"clip": c.clip, "frames": c.frames, "failed": c.failed, **known(c.values), "spread": known(c.spread)}
        for c in clips
    ]
    return {**{name: known(getattr(summary, name)) for name in averages}, "clips": rows}


def known(figures: Figures) -> dict[str, float | None]:
    """Return figures as JSON has them: null if there is none."""
    return {slot: value if math.isfinite(value) else None for slot, value in figures.items()}


def _ordered(evaluation: Evaluation) -> list[ClipFigures]:
    return worst_first(evaluation.policy.clips, evaluation.distance)


def _header(evaluation: Evaluation) -> Iterable[str]:
    on = evaluation.conditions
    yield f"{evaluation.checkpoint}: {evaluation.actor}, {evaluation.frames:,} frames"
    yield (
        f"clips: {len(evaluation.policy.clips)}   rollouts of each: {evaluation.rollouts}, from frame 0, "
        f"deterministic policy, seed {on['seed']}"
    )
    yield "errors: means over the frames before the first failure by any criterion of success; a statue's over all"
    yield from header(on)


def _clip_table(evaluation: Evaluation, columns: int) -> Table:
    """Return the worst clips, each with what the baselines reach on it, by the first few metrics."""
    slots = list(evaluation.units)[:columns]
    table = Table("clip", "", box=SIMPLE, title="Clips, worst first", title_justify="left", pad_edge=False)
    table.add_column("frames", justify="right")
    for slot in slots:
        table.add_column(_title(slot, evaluation), justify="right")
    others = {name: {c.clip: c for c in summary.clips} for name, summary in evaluation.baselines.items()}
    ordered = _ordered(evaluation)
    for clip in ordered[:_WORST_SHOWN]:
        cells = [cell(clip.values[slot], evaluation.units[slot]) for slot in slots]
        table.add_row(clip.clip, evaluation.actor, str(clip.frames), *cells, style="bold red" if clip.failed else "")
        for name, figures in others.items():
            cells = [cell(figures[clip.clip].values[slot], evaluation.units[slot]) for slot in slots]
            table.add_row("", name, "", *cells, style="dim")
    if len(ordered) > _WORST_SHOWN:
        table.caption = f"and {len(ordered) - _WORST_SHOWN} more: --json has all"
    return table


def _average_table(evaluation: Evaluation) -> Table:
    """Return every metric averaged, and what the baselines reach."""
    title = "Averages (+-: standard deviation over rollouts; without failures: of rollouts that did not fail)"
    table = Table("metric", "unit", box=SIMPLE, title=title, title_justify="left", pad_edge=False)
    policy = evaluation.policy
    columns: dict[str, Figures] = {
        "by clip": policy.average,
        "+-": policy.spread,
        "by frame": policy.average_by_frame,
        "without failures\nby clip": policy.average_without_failed,
        "\nby frame": policy.average_by_frame_without_failed,
        **{f"{name}\nby clip": summary.average for name, summary in evaluation.baselines.items()},
    }
    for heading in columns:
        table.add_column(heading, justify="right")
    for slot, unit in evaluation.units.items():
        cells = [cell(figures[slot], unit) for figures in columns.values()]
        table.add_row(slot, "" if unit == "share" else unit, *cells)
    return table


def _title(slot: str, evaluation: Evaluation) -> str:
    unit = evaluation.units[slot]
    return f"{slot.replace('_', chr(10), 1)}\n{unit}" if unit not in ("", "share") else slot.replace("_", "\n", 1)


def cell(value: float, unit: str) -> str:
    """Return a figure as a table shows it."""
    if not math.isfinite(value):
        return "-"
    if unit == "share":
        return f"{value:.1%}".replace(".0%", "%")
    if abs(value) < _ZERO:
        return "0"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
