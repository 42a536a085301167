"""The environment step of mtrack agrees with an independent implementation in numpy, in every value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy_observations import Observations
from numpy_tracking import Array, NumpyTracking, Task
from torch import Tensor

from mtrack.loop.assemble import Assembly, assemble
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.registry.registry import Registry

NUM_ENVS, NUM_STEPS = 8, 40
TOLERANCE = 1e-5  # of the difference / (1 + |value|): mtrack computes in float32, and the states drift apart
NOISY = ("root_rot", "joint_difference", "root_ang_vel", "projected_gravity", "joint_pos")
OVERRIDES = (
    "backend.use=mujoco",
    "command.start_noise=0",
    "action.max_delay=0",
    "max_episode_steps=20",
    *(f"observations.policy.{slot}.noise=0" for slot in NOISY),
)


class RewardTerms:
    """Replaces the statistics of an environment to get the value of each reward term."""

    def set_weights(self, weights: Tensor) -> None:
        """Ignore the weights: terms are compared without them."""

    def add(self, values: Tensor, *_: object) -> None:
        """Store the terms, [N, R]."""
        self.values = values.double().numpy()


class Comparison:
    """Steps both sides with equal actions from equal starts, and keeps the largest difference of each value."""

    def __init__(self, assembly: Assembly, task: Task) -> None:
        """Prepare one numpy environment for each of mtrack's."""
        self.assembly, self.env, self.task = assembly, assembly.env, task
        self.numpy = [NumpyTracking(task) for _ in range(NUM_ENVS)]
        self.observations = [Observations(one) for one in self.numpy]
        self.differences: dict[str, float] = {}
        self.largest: dict[str, float] = {}

    def run(self, steps: int) -> None:
        """Compare some control steps, with resets among them."""
        env, terms, draw = self.env, RewardTerms(), np.random.default_rng(0)
        statistics, env.statistics = env.statistics, terms
        env.start()
        self._reset(range(NUM_ENVS))
        sizes = np.linspace(0.1, 2.0, NUM_ENVS)[:, None]
        for _ in range(steps):
            action = (sizes * draw.standard_normal((NUM_ENVS, env.action.num_actions))).astype(np.float32)
            with torch.no_grad():
                step = env.step(torch.from_numpy(action))
            reward, terminated, truncated = np.array([self.numpy[i].step(action[i]) for i in range(NUM_ENVS)]).T
            self._compare("reward", reward, step.reward.sum(-1))
            self._compare("terminated", terminated, step.terminated)
            self._compare("truncated", truncated, step.truncated)
            for column, path in enumerate(self.task.weights):
                self._compare(path, np.array([one.rewards[path] for one in self.numpy]), terms.values[:, column])
            self._reset((step.terminated | step.truncated).nonzero().flatten().tolist())
        env.statistics = statistics

    def _reset(self, ended: Any) -> None:
        """Reset environments to the start that mtrack has drawn, then compare all observations."""
        command, model = self.env.command, self.task.model
        states = self.env.backend.state_dict()["rows"].numpy()  # time, positions, velocities, ...
        for i in ended:
            start = int(command.clip[i]), int(command.frame[i])
            qpos, qvel = np.split(states[i, 1 : 1 + model.nq + model.nv], [model.nq])
            for name, own, other in zip(("qpos", "qvel"), self.numpy[i].start_state(*start), (qpos, qvel), strict=True):
                self._compare(f"start.{name}", own, other)
            # continue from mtrack's start: with a difference in the last digit, only one of the two may touch the floor
            self.numpy[i].reset(*start, qpos, qvel)
        observed = [one.observe() for one in self.observations]
        paths = [term.path for group in self.env.observer.groups.values() for term in group]
        assert sorted(paths) == sorted(observed[0]), "every term is computed"
        theirs = torch.cat([self.env.observations[group] for group in self.env.observer.groups], dim=1).numpy()
        ends = np.cumsum([len(observed[0][path]) for path in paths])
        assert ends[-1] == theirs.shape[1], "every term has its width"
        for path, values in zip(paths, np.split(theirs, ends[:-1], axis=1), strict=True):
            self._compare(path, np.stack([one[path] for one in observed]), values)

    def _compare(self, name: str, own: Array, other: Any) -> None:
        values = np.asarray(other, np.float64)
        difference = np.abs(own - values) / (1.0 + np.abs(values))
        # NaN must not pass as small: `maximum` propagates it
        self.differences[name] = float(np.maximum(self.differences.get(name, 0.0), difference.max()))
        self.largest[name] = max(self.largest.get(name, 0.0), float(np.abs(values).max()))

    def disagreements(self) -> dict[str, float]:
        """Return the values that differ by more than the tolerance."""
        return {name: value for name, value in self.differences.items() if not value <= TOLERANCE}


@pytest.fixture(scope="module")
def assembly() -> Assembly:
    recipe = check_recipe(read_recipe("g1_tracking_quick", OVERRIDES), Registry.scan()).for_phase("train")
    return assemble(recipe, num_envs=NUM_ENVS)


def test_numpy_and_mtrack_agree_in_every_observation_reward_and_end(assembly: Assembly) -> None:
    comparison = Comparison(assembly, Task(assembly))
    comparison.run(NUM_STEPS)
    assert comparison.disagreements() == {}
    always_zero = {name for name, value in comparison.largest.items() if value == 0.0}
    assert always_zero <= {"observations.policy.compliance"}, "a value that is always 0 is not checked"


@pytest.mark.parametrize("change", ["weight", "dt"])
def test_a_difference_is_found(assembly: Assembly, change: str) -> None:
    task = Task(assembly)
    setattr(task, change, 0.9 * getattr(task, change))
    comparison = Comparison(assembly, task)
    comparison.run(steps=8)
    assert comparison.disagreements()
