"""The report of an evaluation by clips: as an object, as JSON and as tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from mtrack import Metric
from mtrack.api.abilities import HasUnit
from mtrack_eval.clip_summary import ClipMetrics, MetricSummary, MetricValues, worst_first
from mtrack_eval.conditions import header
from mtrack_log.jsonl import finite_or_none

FORMAT = 2
"""Version of what `ClipReport.to_dict` returns: 1 had no values of single rollouts."""
_WORST_SHOWN = 20
_PLAIN_WIDTH = 130  # characters of output that is not a terminal
_ROW_HEAD, _COLUMN = 44, 9  # characters of the first columns of the clip table, and of each metric's column
_UNJUDGED = (
    "failures: not judged. Terminations are off, and no metric of the recipe decides success: a robot that falls does "
    "not count as failed.\nAdd such a metric, e.g. [metrics.success_height], or score by episodes, with terminations: "
    "--episodes 100"
)
_ZERO = 1e-9  # a smaller value is a rounding error


@attrs.frozen
class ClipReport:
    """The result of an evaluation by clips."""

    run: str
    """Name of the run directory; a report contains no path of the machine."""
    checkpoint: str
    """Path of the checkpoint, relative to the run's parent."""
    actor: str
    frames: int
    """Frames that the run had trained for when the checkpoint was written."""
    rollouts: int
    """Rollouts per clip."""
    conditions: Mapping[str, Any] = attrs.field(repr=False)
    """What varied between rollouts, as `conditions.conditions` returns it."""
    units: Mapping[str, str] = attrs.field(repr=False)
    """By metric slot."""
    policy: MetricSummary = attrs.field(repr=False)
    baselines: Mapping[str, MetricSummary] = attrs.field(repr=False)
    """By name: `statue`, `zero_action`."""
    distance: str
    """The metric slot that orders clips that fail equally often; empty if it is missing."""
    judges: Sequence[str]
    """The metric slots that decide whether a rollout has failed."""
    task: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    """What comparable evaluations share, as `conditions.task_facts` returns it."""
    hashes: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    """Content hash of each clip, if the command knows it."""
    draws: str = ""
    """Hash of the random draws of all rollouts: two evaluations with equal draws are paired, rollout by rollout."""
    made_from: str = ""
    """Hash of checkpoint, recipe, code, clips and options: an equal one gives an equal evaluation."""

    @property
    def metrics(self) -> MetricValues:
        """Averages of the policy: the mean over clips of the means over rollouts."""
        return self.policy.average

    def to_dict(self) -> dict[str, Any]:
        """Return what `mtrack eval --json` prints: JSON-able, None for an unknown value."""
        ordered = _ordered(self)
        facts = ("run", "checkpoint", "actor", "frames", "rollouts", "conditions", "units", "distance", "judges")
        identity = ("task", "draws", "made_from")
        policy = _summary(self.policy, ordered)
        for entry, clip in zip(policy["clips"], ordered, strict=True):
            entry["sha256"] = self.hashes.get(clip.clip, "")
            entry["rollouts"] = {slot: [_short(value) for value in values] for slot, values in clip.each.items()}
        return {
            "format": FORMAT,
            **{name: getattr(self, name) for name in (*facts, *identity)},
            **policy,
            "failed_clips": [{"clip": c.clip, "failed": c.failed} for c in ordered if c.failed],
            "baselines": {name: _summary(summary, summary.clips) for name, summary in self.baselines.items()},
        }

    def show(self, console: Console | None = None) -> None:
        """Print header, clips (worst first) and averages."""
        console = console or Console()
        if not console.is_terminal:
            console.width = max(console.width, _PLAIN_WIDTH)
        for line in _header(self):
            console.print(line, highlight=False, markup=False)
        console.print(_clip_table(self, max(3, (console.width - _ROW_HEAD) // _COLUMN)))
        console.print(_average_table(self))
        failed = [c for c in _ordered(self) if c.failed]
        if not self.judges:
            console.print(_UNJUDGED, highlight=False, markup=False)
            if not failed:
                return
        names = ", ".join(f"{c.clip} ({c.failed:.0%})" for c in failed[:_WORST_SHOWN]) or "none"
        console.print(f"clips with failures: {names}", highlight=False, markup=False)
        if len(failed) > _WORST_SHOWN:
            console.print(f"and {len(failed) - _WORST_SHOWN} more: --json lists them", highlight=False)


def units_of(metrics: Mapping[str, Metric]) -> dict[str, str]:
    """Return the unit of each metric, by slot; empty if it declares none."""
    return {slot: metric.unit if isinstance(metric, HasUnit) else "" for slot, metric in metrics.items()}


def _summary(summary: MetricSummary, clips: Sequence[ClipMetrics]) -> dict[str, Any]:
    averages = [field.name for field in attrs.fields(MetricSummary) if field.name != "clips"]
    each = [
        {
            "clip": c.clip,
            "frames": c.frames,
            "failed": c.failed,
            **finite_or_none(c.values),
            "spread": finite_or_none(c.spread),
        }
        for c in clips
    ]
    return {**{name: finite_or_none(getattr(summary, name)) for name in averages}, "clips": each}


def _short(value: float) -> float | None:
    """Return the value of one rollout in seven digits, as many as its float32 has; None if it is unknown."""
    return float(f"{value:.7g}") if math.isfinite(value) else None


def _ordered(report: ClipReport) -> list[ClipMetrics]:
    return worst_first(report.policy.clips, report.distance)


def _header(report: ClipReport) -> Iterable[str]:
    on = report.conditions
    yield f"{report.checkpoint}: {report.actor}, {report.frames:,} frames"
    yield (
        f"clips: {len(report.policy.clips)}   rollouts per clip: {report.rollouts}, from frame 0, "
        f"deterministic policy, seed {on['seed']}"
    )
    yield "errors: means over the frames before the first failure by any success criterion; statue: over all frames"
    yield from header(on)


def _clip_table(report: ClipReport, columns: int) -> Table:
    """Return the worst clips by the first few metrics, each with the results of the baselines."""
    slots = list(report.units)[:columns]
    table = Table("clip", "", box=SIMPLE, title="Clips, worst first", title_justify="left", pad_edge=False)
    table.add_column("frames", justify="right")
    for slot in slots:
        table.add_column(_title(slot, report), justify="right")
    others = {name: {c.clip: c for c in summary.clips} for name, summary in report.baselines.items()}
    ordered = _ordered(report)
    for clip in ordered[:_WORST_SHOWN]:
        cells = [cell(clip.values[slot], report.units[slot]) for slot in slots]
        table.add_row(clip.clip, report.actor, str(clip.frames), *cells, style="bold red" if clip.failed else "")
        for name, metrics in others.items():
            cells = [cell(metrics[clip.clip].values[slot], report.units[slot]) for slot in slots]
            table.add_row("", name, "", *cells, style="dim")
    if len(ordered) > _WORST_SHOWN:
        table.caption = f"and {len(ordered) - _WORST_SHOWN} more: --json lists all"
    return table


def _average_table(report: ClipReport) -> Table:
    """Return the averages of every metric, of the policy and of the baselines."""
    title = "Averages (+-: standard deviation over rollouts; without failures: only rollouts that did not fail)"
    table = Table("metric", "unit", box=SIMPLE, title=title, title_justify="left", pad_edge=False)
    policy = report.policy
    columns: dict[str, MetricValues] = {
        "by clip": policy.average,
        "+-": policy.spread,
        "by frame": policy.average_by_frame,
        "without failures\nby clip": policy.average_without_failed,
        "\nby frame": policy.average_by_frame_without_failed,
        **{f"{name}\nby clip": summary.average for name, summary in report.baselines.items()},
    }
    for heading in columns:
        table.add_column(heading, justify="right")
    for slot, unit in report.units.items():
        cells = [cell(values[slot], unit) for values in columns.values()]
        table.add_row(slot, "" if unit == "share" else unit, *cells)
    return table


def _title(slot: str, report: ClipReport) -> str:
    unit = report.units[slot]
    return f"{slot.replace('_', chr(10), 1)}\n{unit}" if unit not in ("", "share") else slot.replace("_", "\n", 1)


def cell(value: float, unit: str) -> str:
    """Return a value as a table shows it."""
    if not math.isfinite(value):
        return "-"
    if unit == "share":
        return f"{value:.1%}".replace(".0%", "%")
    if abs(value) < _ZERO:
        return "0"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
