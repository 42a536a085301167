"""Invented metrics with the names of a tracking run."""

from __future__ import annotations

from mtrack import Metrics

RUN = {"run_id": "20261122-101500-quick", "recipe": "quick", "distributions": {"mtrack": "0.1.0"}}


def iteration(number: int, *, phase: str = "train", iterations: int = 100, **values: float) -> Metrics:
    """Return the metrics of one iteration."""
    common = {
        "reward/tracking/root_pos": 0.0123,
        "reward/tracking/joint_pos": 0.0456,
        "reward/tracking": 0.0579,
        "reward/loco/survival": 0.06,
        "reward/loco": 0.06,
        "reward_raw/loco/survival": 1.0,
        "episode/length": 412.0,
        "episode/return": 13.2,
        "episode/completed": 0.63,
        "termination/body_height": 0.21,
        "tracking/root_pos": 0.31,
        "loss/policy": -0.0021,
        "policy/std": 0.81,
        "env/diverged": 0.0,
        "update/skipped": 0.0,
    }
    return Metrics(
        phase=phase,
        iteration=number,
        iterations=iterations,
        frames=number * 8192,
        frames_per_s=3120.0,
        eta_s=8040.0,
        values={**common, **values},
        timings={"collect": 1.7, "update": 0.84},
    )
