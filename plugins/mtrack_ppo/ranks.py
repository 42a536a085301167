"""The only places where processes that train together talk: sums and means over ranks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor


def num_ranks() -> int:
    """Return how many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def sum_over_ranks(value: Tensor) -> Tensor:
    """Return the sum of every rank's value; the value itself where there is one rank."""
    if num_ranks() > 1:
        value = value.clone()
        dist.all_reduce(value)
    return value


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
