"""Means and gradients over the processes that train together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mtrack.ranks import num_ranks, sum_over_ranks


def moments(value: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance over the first dimension of values [n, ...] of all ranks, [...]."""
    number = sum_over_ranks(value.new_tensor(len(value)))
    mean = sum_over_ranks(value.sum(0)) / number
    return mean, sum_over_ranks((value - mean).square().sum(0)) / number


def average_gradients(parameters: Sequence[Tensor]) -> None:
    """Replace the gradients by their means over ranks, in one message."""
    if num_ranks() == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    mean = sum_over_ranks(torch.cat([gradient.flatten() for gradient in gradients])) / num_ranks()
    start = 0
    for gradient in gradients:
        gradient.copy_(mean[start : start + gradient.numel()].view_as(gradient))
        start += gradient.numel()
