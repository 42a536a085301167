"""Whether the environments of `numpy_tracking` compute what mtrack's do, from equal states and equal actions."""

from __future__ import annotations

import attrs
import numpy as np
import torch
from numpy_task import Array, Task
from numpy_tracking import NumpyTracking
from torch import Tensor

from mtrack.loop.assemble import Assembly

TOLERANCE = 1e-4  # of the difference over 1 + |value|: float32 on one side, and states that grow apart


@attrs.define
class Compared:
    """Of one quantity the largest difference, over 1 + |value|, and the largest value that was compared."""

    difference: float = 0.0
    value: float = 0.0


class Heard:
    """Stands in for an environment's statistics, to hear of every reward by itself."""

    def set_weights(self, weights: Tensor) -> None:
        """Ignore the weights: terms are compared as they are."""

    def add(self, values: Tensor, *_: object) -> None:
        """Keep the terms, [N, R]."""
        self.terms = values.numpy().copy()


@attrs.define(eq=False)
class Verification:
    """Steps both sides on their own from the same starts, and keeps the largest differences."""

    assembly: Assembly
    task: Task
    envs: list[NumpyTracking] = attrs.field(factory=list)
    found: dict[str, Compared] = attrs.field(factory=dict)

    def run(self, steps: int, seed: int = 0) -> dict[str, Compared]:
        """Return what was found over some control steps, resets among them. Raises ValueError on a disagreement."""
        env, heard = self.assembly.env, Heard()
        num_envs = env.scene.num_envs
        draw, sizes = np.random.default_rng(seed), np.linspace(0.1, 2.0, num_envs)[:, None]
        self.envs = [NumpyTracking(self.task) for _ in range(num_envs)]
        statistics, env.statistics = env.statistics, heard
        env.start()
        self._observed([self._restart(i) for i in range(num_envs)])
        for _ in range(steps):
            action = (sizes * draw.standard_normal((num_envs, env.action.num_actions))).astype(np.float32)
            with torch.no_grad():
                step = env.step(torch.from_numpy(action))
            own = [one.step(row) for one, row in zip(self.envs, action, strict=True)]
            observations, rewards, terminated, truncated, _ = zip(*own, strict=True)
            self._compare("reward", np.array(rewards), step.reward.sum(-1).numpy())
            for column, path in enumerate(self.task.rewards):
                self._compare(path, np.array([one.terms[column] for one in self.envs]), heard.terms[:, column])
            self._compare("terminated", np.array(terminated), step.terminated.numpy())
            self._compare("truncated", np.array(truncated), step.truncated.numpy())
            ended = (step.terminated | step.truncated).tolist()
            self._observed([self._restart(i) if end else observations[i] for i, end in enumerate(ended)])
        env.statistics = statistics
        wrong = {name: of.difference for name, of in self.found.items() if not of.difference <= TOLERANCE}  # or NaN
        if wrong:
            raise ValueError(f"numpy and mtrack differ by more than {TOLERANCE:g}: {wrong}")
        return self.found

    def _restart(self, row: int) -> Array:
        """Reset an environment to what mtrack's row was reset to, and return its first observations.

        Its own start is compared too; but it goes on from mtrack's: one that differs in the last digit may touch the
        floor where the other does not.
        """
        env, command, model = self.envs[row], self.assembly.env.command, self.task.model
        where = {"clip": int(command.clip[row]), "frame": int(command.frame[row])}
        env.reset(options=where)
        state = self.assembly.env.backend.state_dict()["rows"][row].numpy()  # time, positions, velocities, ...
        qpos, qvel = state[1 : 1 + model.nq], state[1 + model.nq : 1 + model.nq + model.nv]
        self._compare("start.qpos", env.qpos, qpos)
        self._compare("start.qvel", env.qvel, qvel)
        return env.reset(options={**where, "state": (qpos, qvel)})[0]

    def _observed(self, rows: list[Array]) -> None:
        groups = self.assembly.env.observations
        theirs = torch.cat([groups[group] for group in self.assembly.env.observer.groups], dim=1).numpy()
        ends = np.cumsum(list(self.task.observations.values()))[:-1]
        parts = (np.split(values, ends, axis=1) for values in (np.stack(rows), theirs))
        for path, own, other in zip(self.task.observations, *parts, strict=True):
            self._compare(path, own, other)

    def _compare(self, name: str, own: Array, other: Array) -> None:
        size = np.abs(other.astype(np.float64))
        difference = np.abs(own.astype(np.float64) - other) / (1.0 + size)
        known = self.found.setdefault(name, Compared())
        # NaN on one side must not pass for small: `maximum` hands it on
        known.difference = float(np.maximum(known.difference, difference.max()))
        known.value = float(np.maximum(known.value, size.max()))
