"""The phase `adapt`: the student acts, and its estimator learns what the teacher's features are where that leads."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from tensordict import TensorDict
from torch import Tensor

from mtrack import Layout, Rollout, component, param, positive, require_order, scratch, state
from mtrack_ppo.acting import sampled
from mtrack_ppo.agent import TeacherStudent
from mtrack_ppo.batch import flat, kept
from mtrack_ppo.estimator import explained_variance, features, train_estimator
from mtrack_ppo.optimiser import make_adam
from mtrack_ppo.precision import Autocast, compute_dtype
from mtrack_ppo.takeover import or_seeded, require_fit


@component
class Adapt:
    """Regression of the adaptation module on what the student meets; all else stays as it is."""

    epochs: int = param(default=2, validator=positive)
    """Times the estimator goes over a rollout."""
    minibatches: int = param(default=8, validator=positive)
    """Parts it takes a rollout in."""
    lr: float = param(default=5e-4, validator=positive)
    """Learning rate of Adam."""
    max_grad_norm: float = param(default=1.0, validator=positive)
    """Bound on the gradient's norm."""
    mirror: bool = param(default=True)
    """Whether it also learns from every sample's mirror image."""
    autocast: Autocast = param(default="auto")
    """Matrix products in `bfloat16`, float32 (`none`), or `auto`: bfloat16 where the device multiplies it faster."""
    compile: bool = param(default=False)
    """Whether losses go through torch.compile, where there is a compiler: faster updates after up to a minute."""

    rng: torch.Generator = state()
    estimator_adam: torch.optim.Adam = state()

    agent: TeacherStudent = scratch()
    dtype: torch.dtype = scratch()

    actor = "student"
    follows = ("train", "adapt", "finetune")

    def observation_groups(self) -> dict[str, str]:
        """Return the groups it reads besides the agent's."""
        return {}

    def rollout_parts(self) -> dict[str, int]:
        """Return into how many parts it divides a rollout."""
        return {"minibatches": self.minibatches}

    def enter(self, agent: TeacherStudent, layout: Layout, previous: str | None) -> None:
        """Begin with the teacher's actor as the student's. Raises MtrackError where there is no trained teacher."""
        require_order("adapt", self.follows, previous)
        require_fit("adapt", agent, layout, self.mirror)
        if previous == "train":
            agent.actor_student.load_state_dict(agent.actor_teacher.state_dict())
        self.rng = or_seeded(self.rng)
        self.agent, self.dtype = agent, compute_dtype(self.autocast, layout.device)
        self.estimator_adam = make_adam(agent.adapt_module, self.lr)

    @torch.no_grad()
    def act(self, observations: TensorDict) -> TensorDict:
        """Return the student's sampled `action` [n, A] and `normalised` rows [n, W]."""
        rows = self.agent.rows(observations, self.dtype)
        action, _ = sampled(self.agent, self.actor, rows, self.rng)
        return TensorDict({"action": action, "normalised": rows}, batch_size=observations.batch_size)

    def update(self, rollout: Rollout, progress: float) -> Mapping[str, Tensor | float]:
        """Learn from a rollout. Returns loss and figures, means over the update."""
        rows, places = flat(torch.as_tensor(rollout.data["normalised"])), kept(rollout)
        target = features(self.agent, rows, self.mirror)
        report = train_estimator(
            self.agent,
            self.estimator_adam,
            rows,
            target,
            places,
            epochs=self.epochs,
            number=self.minibatches,
            max_grad_norm=self.max_grad_norm,
            generator=self.rng,
            compile=self.compile,
        )
        report["adapt/explained_variance"] = explained_variance(report["loss/estimator"], target, places)
        return report
