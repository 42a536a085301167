"""Means and gradients over the processes that train together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mtrack import num_ranks, sum_over_ranks


def moments(value: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance over the first dimension of values [n, ...] of all ranks, [...]."""
    number = sum_over_ranks(value.new_full((), len(value)))
    mean = sum_over_ranks(value.sum(0)) / number
    return mean, sum_over_ranks((value - mean).square().sum(0)) / number


def average_over_ranks(tensors: Sequence[Tensor]) -> None:
    """Replace tensors by their means over ranks, in one message: many small ones cost several times as long."""
    if num_ranks() == 1:
        return
    mean = sum_over_ranks(torch.cat([tensor.flatten() for tensor in tensors])) / num_ranks()
    for tensor, part in zip(tensors, mean.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))
