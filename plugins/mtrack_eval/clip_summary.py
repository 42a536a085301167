"""From rollouts to figures: per clip, and averaged by clip and by frame, with and without failures, with spread."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import attrs
import torch
from torch import Tensor

from mtrack_eval.rollouts import Rollouts

Figures = Mapping[str, float]
"""By metric slot; NaN where there is nothing to tell."""


@attrs.frozen
class ClipFigures:
    """One clip."""

    clip: str
    frames: int
    """That are scored: all but the first."""
    failed: float
    """Share of rollouts that failed by any criterion."""
    values: Figures
    """Means over the rollouts."""
    spread: Figures
    """Standard deviation over the rollouts."""


@attrs.frozen
class Summary:
    """All clips."""

    average: Figures
    """Mean over clips of the means over rollouts."""
    average_by_frame: Figures
    """Mean over rollouts in which each counts as often as it has frames."""
    average_without_failed: Figures
    """`average` of the rollouts that did not fail."""
    average_by_frame_without_failed: Figures
    spread: Figures
    """Standard deviation of `average` over the rollouts: between the first of each clip, the second of each, ..."""
    clips: Sequence[ClipFigures]
    """In the order of the clips."""


def summarise(rollouts: Rollouts, names: Sequence[str], lengths: Tensor, whole: Sequence[str]) -> Summary:
    """Return the figures of clips with some names and lengths, int64 [C] frames.

    The slots in `whole` are of whole clips (success, progress): by frame they count with the clip's length, others with
    the frames they have seen.
    """
    values, kept = rollouts.values, ~rollouts.failed
    full = lengths.cpu().unsqueeze(1).expand_as(rollouts.frames)
    weight = {slot: full if slot in whole else rollouts.frames for slot in values}

    def each(function: object, *more: Mapping[str, Tensor]) -> dict[str, float]:
        return {slot: float(function(table, *(m[slot] for m in more))) for slot, table in values.items()}  # type: ignore[operator]

    def by_clip(table: Tensor, keep: Tensor) -> Tensor:
        return torch.where(keep, table, torch.nan).nanmean(1).nanmean()

    def by_frame(table: Tensor, frames: Tensor, keep: Tensor) -> Tensor:
        counts = keep & ~table.isnan()
        return torch.where(counts, table * frames, 0.0).sum() / torch.where(counts, frames, 0.0).sum()

    everything = dict.fromkeys(values, torch.ones_like(kept))
    completed = dict.fromkeys(values, kept)
    return Summary(
        average=each(by_clip, everything),
        average_by_frame=each(by_frame, weight, everything),
        average_without_failed=each(by_clip, completed),
        average_by_frame_without_failed=each(by_frame, weight, completed),
        spread={slot: deviation(table.nanmean(0)) for slot, table in values.items()},
        clips=[
            ClipFigures(
                clip=name,
                frames=int(lengths[i]),
                failed=float(rollouts.failed[i].float().mean()),
                values={slot: float(table[i].nanmean()) for slot, table in values.items()},
                spread={slot: deviation(table[i]) for slot, table in values.items()},
            )
            for i, name in enumerate(names)
        ],
    )


def worst_first(clips: Sequence[ClipFigures], distance: str) -> list[ClipFigures]:
    """Return the clips in order: those that fail most, then those with the largest distance, a metric slot."""

    def badness(clip: ClipFigures) -> tuple[float, float]:
        value = clip.values.get(distance, math.nan)
        return clip.failed, math.inf if math.isnan(value) else value

    return sorted(clips, key=badness, reverse=True)


def deviation(values: Tensor) -> float:
    """Return the standard deviation of what is known, as a sample of more; 0 for a single value."""
    known = values[~values.isnan()]
    return math.nan if not len(known) else float(known.std()) if len(known) > 1 else 0.0
