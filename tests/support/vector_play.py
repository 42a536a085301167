"""Plays the same actions in vector environments and returns the results."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils import env_checker

SHORT = ("command.steps=3",)
"""Overrides that make episodes 3 steps long."""


def actions(steps: int, num_envs: int = 5) -> list[np.ndarray]:
    draw = np.random.default_rng(0)
    return [draw.uniform(-1, 1, (num_envs, 2)).astype(np.float32) for _ in range(steps)]


def played(env: gymnasium.vector.VectorEnv, steps: int = 8, seed: int | None = None) -> list[Any]:
    seen = [env.reset(seed=seed)[0]]
    for action in actions(steps):
        observation, reward, terminated, truncated, infos = env.step(action)
        seen += [observation, reward, terminated, truncated, infos.get("final_obs", 0)]
    return seen


def equal(one: list[Any], two: list[Any]) -> bool:
    return all(env_checker.data_equivalence(a, b, exact=True) for a, b in zip(one, two, strict=True))
