"""A Gymnasium vector environment over mtrack's environments."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import attrs
import gymnasium
import numpy as np
import torch
from gymnasium.error import ClosedEnvironmentError, ResetNeeded
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from torch import Tensor

from mtrack import Env, MtrackError, Recipe
from mtrack.errors import did_you_mean
from mtrack.loop.assemble import Assembly, assemble
from mtrack.loop.learner import rollout_mode
from mtrack_gym.conversion import Array, Converter, Observation

_log = logging.getLogger("mtrack")


class VectorEnv(gymnasium.vector.VectorEnv[Observation, Array, Array]):
    """N environments of a recipe, stepped and reset together.

    An environment whose episode ends is reset in the same step (`AutoresetMode.SAME_STEP`): observations are those
    after the reset, `infos["final_obs"]` has those before it. The end of a clip and the time limit are truncations. The
    reward is the sum of the reward groups; unlike in mtrack's own PPO, it can be negative.
    """

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.SAME_STEP, "render_modes": []}  # noqa: RUF012  as in the base class

    def __init__(
        self,
        recipe: Recipe,
        phase: str,
        *,
        num_envs: int | None = None,
        groups: Sequence[str] = ("policy",),
        as_dict: bool = False,
        to_numpy: bool = True,
        frames: int | None = None,
    ) -> None:
        """Build the environments of a recipe, as it is in a phase (`Recipe.for_phase`); `reset` starts them.

        Observations are the groups side by side, [N, W], or a dictionary of them. Without `to_numpy`, tensors on the
        recipe's device are returned. Schedules of the recipe end after `frames` steps, summed over all environments
        (None: the phase's), as in a run of mtrack. Raises MtrackError or RecipeError.
        """
        self.recipe, self.phase = recipe, phase
        self._given = num_envs or recipe.num_envs
        assembly = self._assemble()
        widths = assembly.layout.observations
        for group in groups:
            if group not in widths:
                raise MtrackError(f"{recipe.name} has no observations '{group}'; {did_you_mean(group, widths)}")
        if not groups or len(set(groups)) < len(groups):
            raise MtrackError("give different groups of observations, at least one")
        self._converter = Converter(tuple(groups), as_dict, to_numpy)
        self.num_envs = self._given
        self.device = assembly.env.scene.device
        limit = recipe.action.params.get("clip", np.inf)  # the action component clips to this range
        self.single_observation_space = self._converter.space(widths)
        self.single_action_space = gymnasium.spaces.Box(-limit, limit, (assembly.layout.num_actions,), np.float32)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        slot = recipe.phases[phase]
        self._steps_between = slot.train_every
        self._iterations = max(1, -(-(frames or slot.frames) // (self.num_envs * slot.train_every)))
        self._pinned: float | None = None
        self._steps = 0
        self._is_started = False
        self._assembly: Assembly | None = assembly

    @property
    def env(self) -> Env:
        """The environments as mtrack's own class. Raises ClosedEnvironmentError."""
        if self._assembly is None:
            raise ClosedEnvironmentError(f"{self} is closed")
        return self._assembly.env

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Reset every environment; `options` are not used.

        With a seed, random numbers, progress and the state of components are those of environments newly made with that
        seed. Without a seed, they continue.
        """
        super().reset(seed=seed)
        if seed is not None and not self.closed and (self._is_started or seed != self.recipe.seed):
            self.recipe = attrs.evolve(self.recipe, seed=int(seed))
            self._assembly = None  # before the next one is made, so that memory holds only one
            self._assembly, self._steps = self._assemble(), 0
        env = self.env
        with rollout_mode(self.num_envs):
            observations = env.start(self.progress)
        env.statistics.episode_return.zero_()
        self._is_started = True
        return self._converter.observation(observations), {}

    def step(self, actions: Array) -> tuple[Observation, Array, Array, Array, dict[str, Any]]:
        """Advance every environment by one control step under raw actions [N, A]; `infos`: see `Converter.infos`."""
        env = self.env
        if not self._is_started:
            raise ResetNeeded("call reset() before step()")
        raw = self._tensor(actions)
        if raw.shape != self.action_space.shape:
            raise ValueError(f"actions have shape {tuple(raw.shape)}, expected {self.action_space.shape}")
        if self._steps % self._steps_between == 0 and self._pinned is None:
            env.set_progress(self.progress)
        self._steps += 1
        with rollout_mode(self.num_envs):
            step = env.step(raw)
            array = self._converter.array
            return (
                self._converter.observation(step.observations),
                array(step.reward.sum(-1)),
                array(step.terminated),
                array(step.truncated),
                self._converter.infos(step),
            )

    @property
    def progress(self) -> float:
        """Share of the training done, in [0, 1); it advances once per rollout of the phase."""
        if self._pinned is not None:
            return self._pinned
        return min(self._steps // self._steps_between, self._iterations - 1) / self._iterations

    def set_progress(self, progress: float) -> None:
        """Fix progress at a value in [0, 1] from now on: 1 for an evaluation, or the learner's own schedule."""
        if not 0.0 <= progress <= 1.0:
            raise ValueError(f"progress is a share from 0 to 1, not {progress}")
        self._pinned = progress
        if self._is_started:
            self.env.set_progress(progress)

    def metrics(self) -> dict[str, float]:
        """Return what a run of mtrack logs: rewards and ends of episodes since the last call, and present errors."""
        now = {name: float(value.mean()) for name, value in self.env.metrics().items()} if self._is_started else {}
        return {**self.env.statistics.read(), **now}

    def close_extras(self, **kwargs: Any) -> None:
        """Release the simulation."""
        self._assembly = None

    def _assemble(self) -> Assembly:
        assembly = assemble(
            self.recipe,
            self.phase,
            device=self.recipe.resolved_device,
            num_envs=self._given,
            report_diverged=lambda env_ids, _: _log.warning("%d environments diverged and were reset", len(env_ids)),
        )
        assembly.env.observe_terminated = True
        return assembly

    def _tensor(self, actions: Array) -> Tensor:
        """Return actions as a float32 tensor on the device; arrays are copied, because they may be read-only."""
        value = actions.detach() if isinstance(actions, Tensor) else torch.tensor(np.asarray(actions))
        return value.to(self.device, torch.float32)
