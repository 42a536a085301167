"""The report of an evaluation by episodes: how they end, how long they last, what they return."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from torch import Tensor

from mtrack_eval.clip_report import cell
from mtrack_eval.clip_summary import deviation
from mtrack_eval.conditions import header
from mtrack_eval.episodes import Episodes
from mtrack_log.jsonl import finite_or_none

_WIDTH = 130  # characters of output that is not a terminal


@attrs.frozen
class EpisodeSummary:
    """The episodes of one policy."""

    episodes: int
    failed: float
    """Share that ended by a termination (not by a time limit), or because the simulation diverged."""
    completed: float
    """Share that did not fail: truncated by the time limit, the end of a clip or the like."""
    ended_by: Mapping[str, float]
    """Share of episodes that each termination slot ended, and `diverged`."""
    average: Mapping[str, float]
    """Means over the episodes, by the names of `Episodes.values`."""
    spread: Mapping[str, float]
    """Standard deviation over the episodes."""


@attrs.frozen
class EpisodeReport:
    """The result of an evaluation by episodes."""

    run: str
    """Name of the run directory; a report contains no path of the machine."""
    checkpoint: str
    """Path of the checkpoint, relative to the run's parent."""
    actor: str
    frames: int
    """Frames that the run had trained for when the checkpoint was written."""
    conditions: Mapping[str, Any] = attrs.field(repr=False)
    """What varied between episodes, as `conditions.conditions` returns it."""
    units: Mapping[str, str] = attrs.field(repr=False)
    """By metric slot."""
    left_out: Sequence[str]
    """Metric slots that need clips."""
    task: Mapping[str, Any] = attrs.field(repr=False)
    """What comparable evaluations share, as `conditions.task_facts` returns it."""
    max_episode_steps: int
    control_dt: float
    """[s]."""
    policy: EpisodeSummary = attrs.field(repr=False)
    baselines: Mapping[str, EpisodeSummary] = attrs.field(repr=False)
    """By name: `zero_action`."""

    @property
    def metrics(self) -> Mapping[str, float]:
        """Averages of the policy over its episodes: `length`, `return`, `return/GROUP`, ... and each metric slot."""
        return self.policy.average

    def to_dict(self) -> dict[str, Any]:
        """Return what `mtrack eval --json` prints: JSON-able, None for an unknown value."""
        parts = ("policy", "baselines")
        return {
            **attrs.asdict(self, recurse=False, filter=lambda field, _: field.name not in parts),
            **_summary(self.policy),
            "baselines": {name: _summary(summary) for name, summary in self.baselines.items()},
        }

    def show(self, console: Console | None = None) -> None:
        """Print header, how the episodes ended, and averages."""
        console = console or Console()
        if not console.is_terminal:
            console.width = max(console.width, _WIDTH)
        for line in _lines(self):
            console.print(line, highlight=False, markup=False)
        console.print(_table(self))


def summarise(episodes: Episodes) -> EpisodeSummary:
    """Return shares, means and standard deviations of episodes."""
    return EpisodeSummary(
        episodes=len(episodes.failed),
        failed=_share(episodes.failed),
        completed=_share(~episodes.failed),
        ended_by={slot: _share(ended) for slot, ended in episodes.ended_by.items()},
        average={name: float(value.nanmean()) for name, value in episodes.values.items()},
        spread={name: deviation(value) for name, value in episodes.values.items()},
    )


def _lines(report: EpisodeReport) -> Iterator[str]:
    on, policy = report.conditions, report.policy
    seconds = report.max_episode_steps * report.control_dt
    yield f"{report.checkpoint}: {report.actor}, {report.frames:,} frames"
    yield f"episodes: {policy.episodes}, deterministic policy, seed {on['seed']}"
    yield (
        "episodes end as in training: by a termination, by the command, or after "
        f"{report.max_episode_steps:,} steps ({seconds:g} s)"
    )
    yield from header(on)
    if report.left_out:
        yield f"not scored, because they need clips: {', '.join(report.left_out)}"
    yield ""
    yield _ends(policy)
    for name, summary in report.baselines.items():
        yield f"{name}: {_ends(summary)}"
    if not on["terminations"]:
        yield "the recipe has no terminations: a robot that falls does not count as failed"
    yield ""
    yield "averages over episodes (+-: standard deviation; rewards are multiplied by weight and dt, as in training)"


def _ends(summary: EpisodeSummary) -> str:
    """Return in words how the episodes ended: `failed: 37 % (fell 37 %), completed: 63 %`."""
    by = ", ".join(f"{slot} {_percent(share)}" for slot, share in summary.ended_by.items() if share)
    reasons = f" ({by})" if by else ""
    return f"failed: {_percent(summary.failed)}{reasons}, completed: {_percent(summary.completed)}"


def _table(report: EpisodeReport) -> Table:
    """Return the averages of the policy and of each baseline."""
    table = Table("", "unit", box=SIMPLE, pad_edge=False)
    columns = {report.actor: report.policy, **report.baselines}
    for heading in columns:
        table.add_column(heading, justify="right")
        table.add_column("+-", justify="right")
    for name in report.policy.average:
        unit = "steps" if name == "length" else report.units.get(name, "")
        cells = [cell(value[name], unit) for one in columns.values() for value in (one.average, one.spread)]
        table.add_row(f"episode {name}" if name in ("length", "return") else name, _unit_shown(unit), *cells)
    return table


def _unit_shown(unit: str) -> str:
    return "" if unit == "share" else unit


def _summary(summary: EpisodeSummary) -> dict[str, Any]:
    return attrs.asdict(summary) | {
        "average": finite_or_none(summary.average),
        "spread": finite_or_none(summary.spread),
    }


def _share(which: Tensor) -> float:
    return float(which.double().mean())


def _percent(share: float) -> str:
    percent = 100.0 * share
    is_extreme = share > 0 and (percent < 1 or percent > 99) and not math.isclose(percent, 100.0)
    return f"{percent:.1f} %" if is_extreme else f"{percent:.0f} %"
