"""Random draws within ranges, and the rows of model fields they go to."""

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
        raise ValueError(f"{attribute.name} must not be negative, as {value[0]} is")


def uniform(rng: torch.Generator, shape: Sequence[int], within: Range) -> Tensor:
    """Draw uniformly from a range, double precision as in model fields."""
    low, high = within
    return torch.rand(tuple(shape), generator=rng, device=rng.device, dtype=torch.float64) * (high - low) + low


def log_uniform(rng: torch.Generator, shape: Sequence[int], within: Range) -> Tensor:
    """Draw from a range so that the logarithm is uniform."""
    low, high = within
    return uniform(rng, shape, (math.log(low), math.log(high))).exp()


def assign(field: Tensor, env_ids: Tensor, elements: Tensor, value: Tensor, entry: int | None = None) -> None:
    """Write values [n, k, ...] to elements [k] of rows `env_ids` [n] of a field; to one entry of each if it is given."""
    place: tuple[Tensor | int, ...] = (env_ids.unsqueeze(-1), elements)
    field[place if entry is None else (*place, entry)] = value.to(field)
