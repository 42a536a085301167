"""Evaluations of runs that do not exist, as `mtrack eval --json` prints them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

UNITS = {"success_body": "share", "mpkpe_local": "mm"}


def invented_evaluation(run: str, errors: Mapping[str, Sequence[float | None]], **changes: Any) -> dict[str, Any]:
    """Return an evaluation in which the rollouts of each clip have these errors and none has failed."""
    clips = []
    for clip, values in errors.items():
        known = [value for value in values if value is not None]
        rollouts = {"mpkpe_local": list(values), "success_body": [1.0] * len(values), "failed": [0.0] * len(values)}
        mean = float(np.mean(known)) if known else None
        clips.append(
            {
                "clip": clip,
                "frames": 100,
                "failed": 0.0,
                "success_body": 1.0,
                "mpkpe_local": mean,
                "spread": {},
                "sha256": f"hash of {clip}",
                "rollouts": rollouts,
            }
        )
    whole: dict[str, Any] = {
        "format": 2,
        "run": run,
        "checkpoint": f"{run}/checkpoints/finetune-0000002",
        "actor": "student",
        "frames": 800,
        "rollouts": len(next(iter(errors.values()))),
        "conditions": {"scored_by": "clips", "randomizations": [], "observation_noise": False, "seed": 0},
        "units": UNITS,
        "judges": ["success_body"],
        "distance": "mpkpe_local",
        "task": {"backend": "mtrack:mujoco", "metrics": {"mpkpe_local": {"use": "mtrack:mpkpe"}}},
        "draws": "the same",
        "made_from": "nothing",
        "average": {"success_body": 1.0, "mpkpe_local": clips[0]["mpkpe_local"]},  # a group uses the clips
        "spread": {},
        "clips": clips,
        "baselines": {},
    }
    return whole | changes
