"""Random draws within ranges, and their assignment to model fields."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

Range: TypeAlias = tuple[float, float]
"""Lowest and highest value."""


def ordered(_: object, attribute: Any, value: Range) -> None:
    """Validate that the lower bound comes first."""
    low, high = value
    if not (low <= high and math.isfinite(high - low)):
        raise ValueError(f"{attribute.name} must be [lowest, highest], two finite numbers, not [{low}, {high}]")


def ordered_positive(instance: object, attribute: Any, value: Range) -> None:
    """Validate that both bounds are positive, the lower one first."""
    ordered(instance, attribute, value)
    if value[0] <= 0.0:
        raise ValueError(f"{attribute.name} must be positive, not {value[0]}")


def ordered_non_negative(instance: object, attribute: Any, value: Range) -> None:
    """Validate that no bound is negative, the lower one first."""
    ordered(instance, attribute, value)
    if value[0] < 0.0:
        raise ValueError(f"{attribute.name} must not be negative, not {value[0]}")


def uniform(rng: torch.Generator, shape: Sequence[int], within: Range) -> Tensor:
    """Draw uniformly from a range, in double precision like model fields."""
    low, high = within
    return torch.rand(tuple(shape), generator=rng, device=rng.device, dtype=torch.float64) * (high - low) + low


def log_uniform(rng: torch.Generator, shape: Sequence[int], within: Range) -> Tensor:
    """Draw log-uniformly from a range."""
    low, high = within
    return uniform(rng, shape, (math.log(low), math.log(high))).exp()


def assign(field: Tensor, env_ids: Tensor, elements: Tensor, value: Tensor, entry: int | None = None) -> None:
    """Write values [n, k, ...] to elements [k] of a field in envs `env_ids` [n]; only to `entry` of each if given."""
    index: tuple[Tensor | int, ...] = (env_ids.unsqueeze(-1), elements)
    field[index if entry is None else (*index, entry)] = value.to(field)
