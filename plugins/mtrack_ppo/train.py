"""The phase `train`: the teacher learns with PPO, and the estimator learns to predict its features."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from tensordict import TensorDict
from torch import Tensor

from mtrack.exchange import Layout
from mtrack.fields import component, non_negative, param, positive, scratch, state
from mtrack.metrics import SKIPPED
from mtrack.phase_order import require_order
from mtrack.rollout import Rollout
from mtrack_ppo.acting import decision
from mtrack_ppo.agent import TeacherStudent
from mtrack_ppo.batch import flat, kept
from mtrack_ppo.estimator import features, train_estimator
from mtrack_ppo.optimiser import make_adam, set_learning_rate
from mtrack_ppo.ppo import Objective, numbers, optimise, prepare
from mtrack_ppo.precision import compute_dtype
from mtrack_ppo.rate import next_rate
from mtrack_ppo.phases import PpoSettings
from mtrack_ppo.takeover import or_seeded, require_fit


@component
class Train(PpoSettings):
    """PPO on the teacher's actor, encoder and critic; after it, regression of the adaptation module."""

    reg_coef: float = param(default=0.2, validator=non_negative)
    """Coefficient, times progress, of the pull of the teacher's features towards their predictions."""
    estimator_epochs: int = param(default=2, validator=non_negative)
    """Times the estimator goes over a rollout; 0 leaves it untrained."""
    estimator_minibatches: int = param(default=8, validator=positive)
    """Parts it takes a rollout in."""

    rng: torch.Generator = state()
    learning_rate: float = state()
    actor_adam: torch.optim.Adam = state()
    encoder_adam: torch.optim.Adam = state()
    critic_adam: torch.optim.Adam = state()
    estimator_adam: torch.optim.Adam = state()

    agent: TeacherStudent = scratch()
    layout: Layout = scratch()
    dtype: torch.dtype = scratch()
    normalisers_ready: bool = scratch()

    actor = "teacher"
    follows = (None, "train")

    def rollout_parts(self) -> dict[str, int]:
        """Return into how many parts it divides a rollout."""
        estimator = {"estimator_minibatches": self.estimator_minibatches} if self.estimator_epochs else {}
        return {"minibatches": self.minibatches, **estimator}

    def enter(self, agent: TeacherStudent, layout: Layout, previous: str | None) -> None:
        """Make the optimisers. Raises MtrackError after another phase, or where something has no mirror."""
        require_order("train", self.follows, previous)
        require_fit("train", agent, layout, self.mirror)
        self.rng = or_seeded(self.rng)
        self.agent, self.layout, self.dtype = agent, layout, compute_dtype(self.autocast, layout.device)
        self.normalisers_ready = False
        self.learning_rate = self.lr
        self.actor_adam = make_adam(agent.actor_teacher, self.lr)
        self.encoder_adam = make_adam(agent.encoder_priv, self.lr)
        self.critic_adam = make_adam(agent.critic, self.lr)
        self.estimator_adam = make_adam(agent.adapt_module, self.lr)

    @torch.no_grad()
    def act(self, observations: TensorDict) -> TensorDict:
        """Return sampled `action` [n, A], its `mean` and `log_prob`, `state_value` [n] and `normalised` rows [n, W]."""
        agent = self.agent
        if not self.normalisers_ready:
            # Statistics change at the end of an update only, so that a rollout and its update see the same numbers
            # and the ratio starts at 1. The very first rollout takes those of the first observations.
            if agent.normalisers[agent.policy_group].count == 0:
                agent.learn_normalisers(observations)
            self.normalisers_ready = True
        return decision(agent, self.actor, agent.rows(observations, self.dtype), self.rng)

    def update(self, rollout: Rollout, progress: float) -> Mapping[str, Tensor | float]:
        """Learn from a rollout. Returns losses and figures, means over the update."""
        agent, places = self.agent, kept(rollout)
        with torch.no_grad():
            batch, report = prepare(self, agent, rollout, places)
        objective = Objective(
            settings=self,
            agent=agent,
            actor=self.actor,
            entropy_coef=torch.full((), self.entropy.at(progress), device=batch.rows.device),
            reg_coef=torch.full((), self.reg_coef * progress, device=batch.rows.device),
            old_std=agent.actor_teacher.std.detach().clone(),
            action_mirror=self.layout.action_mirror,
        )
        for adam in (self.actor_adam, self.encoder_adam):
            set_learning_rate(adam, self.learning_rate)
        adams = [self.actor_adam, self.encoder_adam, self.critic_adam]
        report |= optimise(objective, batch, places, adams, self.rng)
        estimated = train_estimator(
            agent,
            self.estimator_adam,
            batch.rows,
            features(agent, batch.rows, self.mirror),
            places,
            epochs=self.estimator_epochs,
            number=self.estimator_minibatches,
            max_grad_norm=self.max_grad_norm,
            generator=self.rng,
            compile=self.compile,
        )
        estimated[SKIPPED] = torch.maximum(report[SKIPPED], estimated[SKIPPED])
        agent.learn_normalisers({group: flat(torch.as_tensor(rollout.data[group])) for group in agent.groups})
        figures = numbers(report | estimated) | {"policy/learning_rate": self.learning_rate}
        self.learning_rate = next_rate(self, self.learning_rate, figures, progress)
        return figures
