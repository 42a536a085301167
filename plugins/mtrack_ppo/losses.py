"""Densities of a diagonal normal distribution, and the losses as functions of tensors."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_LOG_ROOT_TWO_PI = 0.5 * math.log(2.0 * math.pi)


def log_prob(action: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Return the log density of actions [..., A], [...]."""
    return -(0.5 * ((action - mean) / std).square() + std.log() + _LOG_ROOT_TWO_PI).sum(-1)


def entropy(std: Tensor) -> Tensor:
    """Return the entropy of the distribution with deviations [A], a scalar."""
    return (std.log() + 0.5 + _LOG_ROOT_TWO_PI).sum()


def kl_divergence(old_mean: Tensor, old_std: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Return KL(old || new) in closed form, [...]; means [..., A], deviations [A]."""
    scaled = (old_std.square() + (old_mean - mean).square()) / (2.0 * std.square())
    return (std.log() - old_std.log() + scaled - 0.5).sum(-1)


def clipped_surrogate(ratio: Tensor, advantage: Tensor, clip: float) -> Tensor:
    """Return the loss of each sample [n]: -min(ratio A, clip(ratio) A).

    Schulman et al., Proximal Policy Optimization Algorithms, 2017.
    """
    return -torch.minimum(ratio * advantage, ratio.clamp(1.0 - clip, 1.0 + clip) * advantage)
