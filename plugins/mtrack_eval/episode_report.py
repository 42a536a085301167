"""An evaluation by episodes: how they end, how long they last, what they return; as JSON and as a table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from torch import Tensor

from mtrack_eval.clip_report import cell, known
from mtrack_eval.clip_summary import deviation
from mtrack_eval.conditions import header
from mtrack_eval.episodes import Episodes

_WIDTH = 130  # of output that is no terminal


@attrs.frozen
class EpisodeSummary:
    """What came of all episodes of one policy."""

    episodes: int
    failed: float
    """Share that ended by a termination that is no time limit, or because the simulation diverged."""
    completed: float
    """Share that reached their time limit, or what else truncates."""
    ended_by: Mapping[str, float]
    """Share of episodes that each termination slot ended, and `diverged`."""
    average: Mapping[str, float]
    """By figure, see `Episodes.figures`; metrics are means over the episodes."""
    spread: Mapping[str, float]
    """Standard deviation over the episodes."""


@attrs.frozen
class EpisodeEvaluation:
    """Everything an evaluation by episodes has to say."""

    run: str
    """Name of its folder; an evaluation holds no path of the machine."""
    checkpoint: str
    """From the folder of the run on."""
    actor: str
    frames: int
    """The run had trained for when the checkpoint was made."""
    conditions: Mapping[str, Any]
    """What varied, as `conditions.conditions` returns it."""
    units: Mapping[str, str]
    """By metric slot."""
    left_out: Sequence[str]
    """Metric slots that need clips."""
    max_episode_steps: int
    control_dt: float
    """[s]."""
    policy: EpisodeSummary
    baselines: Mapping[str, EpisodeSummary]
    """By name: `zero_action`."""


def summarise(episodes: Episodes) -> EpisodeSummary:
    """Return shares, means and spreads of episodes."""
    return EpisodeSummary(
        episodes=len(episodes.failed),
        failed=_share(episodes.failed),
        completed=_share(~episodes.failed),
        ended_by={slot: _share(ended) for slot, ended in episodes.ended_by.items()},
        average={name: float(value.nanmean()) for name, value in episodes.figures.items()},
        spread={name: deviation(value) for name, value in episodes.figures.items()},
    )


def as_json(evaluation: EpisodeEvaluation) -> dict[str, Any]:
    """Return what `--json` prints; null is a figure there is none of."""
    parts = ("policy", "baselines")
    facts = attrs.asdict(evaluation, recurse=False, filter=lambda field, _: field.name not in parts)
    return {
        **facts,
        **_summary(evaluation.policy),
        "baselines": {name: _summary(summary) for name, summary in evaluation.baselines.items()},
    }


def show(evaluation: EpisodeEvaluation, console: Console) -> None:
    """Print header, how the episodes ended, and averages."""
    if not console.is_terminal:
        console.width = max(console.width, _WIDTH)
    for line in _lines(evaluation):
        console.print(line, highlight=False, markup=False)
    console.print(_table(evaluation))


def _lines(evaluation: EpisodeEvaluation) -> Iterator[str]:
    on, policy = evaluation.conditions, evaluation.policy
    seconds = evaluation.max_episode_steps * evaluation.control_dt
    yield f"{evaluation.checkpoint}: {evaluation.actor}, {evaluation.frames:,} frames"
    yield f"episodes: {policy.episodes}, deterministic policy, seed {on['seed']}"
    yield (
        "an episode ends as in training: by a termination, by the command, or after "
        f"{evaluation.max_episode_steps:,} steps ({seconds:g} s)"
    )
    yield from header(on)
    if evaluation.left_out:
        yield f"not scored, since they need clips: {', '.join(evaluation.left_out)}"
    yield ""
    yield _ends(policy)
    for name, summary in evaluation.baselines.items():
        yield f"{name}: {_ends(summary)}"
    if not on["terminations"]:
        yield "the recipe has no terminations: a robot that falls is not counted as failed"
    yield ""
    yield "averages over episodes (+-: standard deviation; rewards are weighted and times dt, as in training)"


def _ends(summary: EpisodeSummary) -> str:
    """Return in words how the episodes ended: `failed: 37 % (fell 37 %), completed: 63 %`."""
    by = ", ".join(f"{slot} {_percent(share)}" for slot, share in summary.ended_by.items() if share)
    reasons = f" ({by})" if by else ""
    return f"failed: {_percent(summary.failed)}{reasons}, completed: {_percent(summary.completed)}"


def _table(evaluation: EpisodeEvaluation) -> Table:
    """Return the averages of the policy and of each baseline."""
    table = Table("", "unit", box=SIMPLE, pad_edge=False)
    columns = {evaluation.actor: evaluation.policy, **evaluation.baselines}
    for name in columns:
        table.add_column(name, justify="right")
        table.add_column("+-", justify="right")
    for figure in evaluation.policy.average:
        unit = "steps" if figure == "length" else evaluation.units.get(figure, "")
        cells = [cell(value[figure], unit) for one in columns.values() for value in (one.average, one.spread)]
        table.add_row(f"episode {figure}" if figure in ("length", "return") else figure, _unit_shown(unit), *cells)
    return table


def _unit_shown(unit: str) -> str:
    return "" if unit == "share" else unit


def _summary(summary: EpisodeSummary) -> dict[str, Any]:
    return attrs.asdict(summary) | {"average": known(summary.average), "spread": known(summary.spread)}


def _share(which: Tensor) -> float:
    return float(which.double().mean())


def _percent(share: float) -> str:
    percent = 100.0 * share
    is_extreme = share > 0 and (percent < 1 or percent > 99) and not math.isclose(percent, 100.0)
    return f"{percent:.1f} %" if is_extreme else f"{percent:.0f} %"
