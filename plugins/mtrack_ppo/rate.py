"""The learning rate that follows the KL divergence of the updates."""

from __future__ import annotations

from collections.abc import Mapping

from mtrack_ppo.phases import PpoSettings


def next_rate(settings: PpoSettings, rate: float, figures: Mapping[str, float], progress: float) -> float:
    """Return the rate of the next update, given what the last one reports; it stays where the policy did not learn."""
    follows = settings.kl_adaptive and progress >= settings.kl_start and figures["update/skipped"] == 0.0
    return adapted_rate(settings, rate, figures["policy/kl"]) if follows and "policy/kl" in figures else rate


def adapted_rate(settings: PpoSettings, rate: float, kl: float) -> float:
    """Return the next update's rate: lower after a divergence above `kl_high`, higher after one below `kl_low`."""
    if kl > settings.kl_high:
        return max(settings.lr_min, rate / settings.kl_factor)
    if kl < settings.kl_low:
        return min(settings.lr_max, rate * settings.kl_factor)
    return rate
