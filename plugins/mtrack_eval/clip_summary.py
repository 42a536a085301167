"""From rollouts to averages: per clip, by clip and by frame, with and without failures, with standard deviations."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import attrs
import torch
from torch import Tensor

from mtrack_eval.rollouts import Rollouts

MetricValues = Mapping[str, float]
"""By metric slot; NaN if a value is unknown."""


@attrs.frozen
class ClipMetrics:
    """The metrics of one clip."""

    clip: str
    frames: int
    """Frames that are scored: all but the first."""
    failed: float
    """Share of rollouts that failed by any criterion."""
    values: MetricValues
    """Means over the rollouts."""
    spread: MetricValues
    """Standard deviation over the rollouts."""
    each: Mapping[str, Sequence[float]] = attrs.field(factory=dict, repr=False)
    """The values of the R rollouts, by metric slot; and `failed`, 1 or 0."""


@attrs.frozen
class MetricSummary:
    """The metrics of all clips."""

    average: MetricValues
    """Mean over clips of the means over rollouts."""
    average_by_frame: MetricValues
    """Mean over rollouts, each weighted by its number of frames."""
    average_without_failed: MetricValues
    """`average` of the rollouts that did not fail."""
    average_by_frame_without_failed: MetricValues
    """`average_by_frame` of the rollouts that did not fail."""
    spread: MetricValues
    """Standard deviation of `average` over the rollouts: between the first of each clip, the second of each, ..."""
    clips: Sequence[ClipMetrics]
    """In the order of the clips."""


def summarise(rollouts: Rollouts, names: Sequence[str], lengths: Tensor, whole: Sequence[str]) -> MetricSummary:
    """Return the metrics of clips with these names and lengths, int64 [C] frames.

    The slots in `whole` describe whole clips (success, progress): their averages by frame weight a rollout by the
    clip's length. Those of the other slots weight it by the frames that were scored.
    """
    values, completed = rollouts.values, ~rollouts.failed
    full = lengths.cpu().unsqueeze(1).expand_as(rollouts.frames)
    weight = {slot: full if slot in whole else rollouts.frames for slot in values}
    everything = torch.ones_like(completed)

    def by_clip(keep: Tensor) -> dict[str, float]:
        return {slot: float(_mean_by_clip(table, keep)) for slot, table in values.items()}

    def by_frame(keep: Tensor) -> dict[str, float]:
        return {slot: float(_mean_by_frame(table, weight[slot], keep)) for slot, table in values.items()}

    return MetricSummary(
        average=by_clip(everything),
        average_by_frame=by_frame(everything),
        average_without_failed=by_clip(completed),
        average_by_frame_without_failed=by_frame(completed),
        spread={slot: deviation(table.nanmean(0)) for slot, table in values.items()},
        clips=[
            ClipMetrics(
                clip=name,
                frames=int(lengths[i]),
                failed=float(rollouts.failed[i].float().mean()),
                values={slot: float(table[i].nanmean()) for slot, table in values.items()},
                spread={slot: deviation(table[i]) for slot, table in values.items()},
                each={
                    **{slot: table[i].tolist() for slot, table in values.items()},
                    "failed": rollouts.failed[i].double().tolist(),
                },
            )
            for i, name in enumerate(names)
        ],
    )


def worst_first(clips: Sequence[ClipMetrics], distance: str) -> list[ClipMetrics]:
    """Return the clips in order: those that fail most, then those with the largest distance, a metric slot."""

    def badness(clip: ClipMetrics) -> tuple[float, float]:
        value = clip.values.get(distance, math.nan)
        return clip.failed, math.inf if math.isnan(value) else value

    return sorted(clips, key=badness, reverse=True)


def deviation(values: Tensor) -> float:
    """Return the sample standard deviation of the values that are not NaN: 0 for one value, NaN without any."""
    finite = values[~values.isnan()]
    if len(finite) == 0:
        return math.nan
    return float(finite.std()) if len(finite) > 1 else 0.0


def _mean_by_clip(table: Tensor, keep: Tensor) -> Tensor:
    """Return the mean over clips of the means over the kept rollouts; `table` and `keep` are [C, R]."""
    return torch.where(keep, table, torch.nan).nanmean(1).nanmean()


def _mean_by_frame(table: Tensor, frames: Tensor, keep: Tensor) -> Tensor:
    """Return the mean over the kept rollouts, weighted by `frames`; all arguments are [C, R]."""
    counts = keep & ~table.isnan()
    return torch.where(counts, table * frames, 0.0).sum() / torch.where(counts, frames, 0.0).sum()
