"""What worker processes run besides a single environment: several of them, or the physics of one alone."""

from __future__ import annotations

import time
from typing import Any

import gymnasium
import mujoco
import numpy as np
from gymnasium.vector.utils import batch_space
from numpy_task import Array, Task
from numpy_tracking import NumpyTracking


class Several(gymnasium.Env[Array, Array]):
    """Several environments in one worker, stepped in turn and reset when they end: fewer messages between processes."""

    def __init__(self, task: Task, num: int, seed: int) -> None:
        """Make the environments."""
        self.envs = [NumpyTracking(task, seed + i) for i in range(num)]
        spaces = (self.envs[0].observation_space, self.envs[0].action_space)
        self.observation_space, self.action_space = (batch_space(s, num) for s in spaces)
        self.rows = np.zeros(self.observation_space.shape, np.float32)
        self.rewards, self.terminated, self.truncated = np.zeros(num), np.zeros(num, bool), np.zeros(num, bool)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Reset all."""
        for i, env in enumerate(self.envs):
            self.rows[i] = env.reset()[0]
        return self.rows, {}

    def step(self, actions: Array) -> tuple[Array, Array, Array, Array, dict[str, Any]]:  # type: ignore[override]
        """Step all."""
        for i, env in enumerate(self.envs):
            observation, self.rewards[i], self.terminated[i], self.truncated[i], _ = env.step(actions[i])
            self.rows[i] = env.reset()[0] if self.terminated[i] or self.truncated[i] else observation
        return self.rows, self.rewards, self.terminated, self.truncated, {}


class Recorded(NumpyTracking):
    """Remembers its engine calls, to make them again without anything else."""

    def __init__(self, task: Task, seed: int = 0) -> None:
        """Remember nothing yet."""
        super().__init__(task, seed)
        self.calls: list[tuple[Array, ...]] = []

    def record(self, steps: int, action_size: float) -> None:
        """Play with normal actions, and remember where episodes started and every target."""
        self.calls.clear()
        self.reset()
        for _ in range(steps):
            *_, terminated, truncated, _ = self.step(self.rng.normal(0.0, action_size, self.action_space.shape))
            if terminated or truncated:
                self.reset()
        self.reached = self.qpos.copy()

    def place(self, *state: Array) -> None:
        """Remember a start."""
        self.calls.append(tuple(part.copy() for part in state))
        super().place(*state)

    def simulate(self, target: Array) -> None:
        """Remember a target."""
        self.calls.append((target.copy(),))
        super().simulate(target)

    def replay(self) -> float:
        """Make the calls again and return how long it took [s]."""
        model, data, control = self.model, self.data, self.data.ctrl
        place, step = super().place, mujoco.mj_step
        start = time.perf_counter()
        for call in self.calls:
            if len(call) == 1:
                control[:] = call[0]
                step(model, data)
            else:
                place(*call)
        taken = time.perf_counter() - start
        if not np.allclose(self.qpos, self.reached, rtol=0.0, atol=1e-9):
            raise RuntimeError("the engine calls made again led to another state: the measurement is void")
        return taken
