"""The learning rate that follows the KL divergence of the updates."""

from __future__ import annotations

from typing import Protocol


class RateSettings(Protocol):
    """The parameters of a phase with such a rate."""

    kl_high: float
    kl_low: float
    kl_factor: float
    lr_min: float
    lr_max: float


def adapted_rate(settings: RateSettings, rate: float, kl: float) -> float:
    """Return the next update's rate: lower after a divergence above `kl_high`, higher after one below `kl_low`."""
    if kl > settings.kl_high:
        return max(settings.lr_min, rate / settings.kl_factor)
    if kl < settings.kl_low:
        return min(settings.lr_max, rate * settings.kl_factor)
    return rate
