"""The phase `finetune`: the student learns with PPO, on features it estimates itself."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from tensordict import TensorDict
from torch import Tensor

from mtrack.exchange import Layout
from mtrack.fields import between, component, param, positive, scratch, state
from mtrack.phase_order import require_order
from mtrack.rollout import Rollout
from mtrack.schedule import Schedule
from mtrack_ppo.acting import decision
from mtrack_ppo.agent import TeacherStudent
from mtrack_ppo.batch import kept
from mtrack_ppo.optimiser import make_adam, set_learning_rate
from mtrack_ppo.ppo import Objective, numbers, optimise, prepare
from mtrack_ppo.precision import compute_dtype
from mtrack_ppo.rate import next_rate
from mtrack_ppo.phases import PpoSettings
from mtrack_ppo.takeover import or_seeded, require_fit


@component
class Finetune(PpoSettings):
    """PPO on the student's actor and the critic, at first on the critic alone; estimator and normalisers stay."""

    lr: float = param(default=1e-4, validator=positive)
    """Learning rate of Adam; the actor's at the start."""
    entropy: Schedule = param(default=Schedule(0.0025, 0.0005, "exp"))
    """Coefficient of the entropy bonus."""
    critic_alone: float = param(default=0.025, validator=between(0.0, 1.0))
    """Progress up to which only the critic learns: it has to know the student before it can judge it."""

    rng: torch.Generator = state()
    learning_rate: float = state()
    actor_adam: torch.optim.Adam = state()
    critic_adam: torch.optim.Adam = state()

    agent: TeacherStudent = scratch()
    layout: Layout = scratch()
    dtype: torch.dtype = scratch()

    actor = "student"
    follows = ("adapt", "finetune")

    def enter(self, agent: TeacherStudent, layout: Layout, previous: str | None) -> None:
        """Make the optimisers. Raises MtrackError where the student has not been adapted."""
        require_order("finetune", self.follows, previous)
        require_fit("finetune", agent, layout, self.mirror)
        self.rng = or_seeded(self.rng)
        self.agent, self.layout, self.dtype = agent, layout, compute_dtype(self.autocast, layout.device)
        self.learning_rate = self.lr
        self.actor_adam = make_adam(agent.actor_student, self.lr)
        self.critic_adam = make_adam(agent.critic, self.lr)

    @torch.no_grad()
    def act(self, observations: TensorDict) -> TensorDict:
        """Return sampled `action` [n, A], its `mean` and `log_prob`, `state_value` [n] and `normalised` rows [n, W]."""
        return decision(self.agent, self.actor, self.agent.rows(observations, self.dtype), self.rng)

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
            reg_coef=torch.zeros((), device=batch.rows.device),
            old_std=agent.actor_student.std.detach().clone(),
            action_mirror=self.layout.action_mirror,
            critic_alone=progress < self.critic_alone,
        )
        set_learning_rate(self.actor_adam, self.learning_rate)
        adams = [self.critic_adam] if objective.critic_alone else [self.actor_adam, self.critic_adam]
        report |= optimise(objective, batch, places, adams, self.rng)
        figures = numbers(report) | {"policy/learning_rate": self.learning_rate}
        self.learning_rate = next_rate(self, self.learning_rate, figures, progress)
        return figures
