"""The table `[run]` of a recipe: when checkpoints are saved, and which are kept."""

from __future__ import annotations

from typing import Literal

import attrs

from mtrack.api.fields import param, positive


def _named(instance: object, attribute: attrs.Attribute[str], value: str) -> None:
    if not value:
        raise ValueError('expected the name of a metric, e.g. "episode/return"')


@attrs.frozen(kw_only=True)
class BestCheckpoint:
    """By which metric the best checkpoint of each phase is found."""

    metric: str = attrs.field(validator=_named)
    """A metric that a run logs, e.g. `tracking/keypoint_pos_m`."""
    mode: Literal["min", "max"]
    """Whether a smaller (`min`) or a greater (`max`) value is better."""
    enabled: bool = True
    """Whether the best checkpoints are kept."""


@attrs.frozen(kw_only=True)
class RunSettings:
    """Settings of checkpoints."""

    checkpoint_every: int = param(default=50, validator=positive)
    """Iterations between checkpoints."""
    keep: int = param(default=3, validator=positive)
    """Number of checkpoints to keep, in addition to the last and the best one of each phase."""
    best: BestCheckpoint | None = param(default=None)  # noqa: RUF009  an attrs field
    """Keeps the best checkpoint of each phase too: `{ metric = "tracking/keypoint_pos_m", mode = "min" }`."""
