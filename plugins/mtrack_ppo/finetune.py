"""The phase `finetune`: the student learns with PPO, on the features that its adaptation module predicts."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from tensordict import TensorDict
from torch import Tensor

from mtrack import Layout, Rollout, Schedule, between, component, param
from mtrack_ppo.agent import TeacherStudent
from mtrack_ppo.phases import (
    PpoPhase,
    make_adam,
    policy_output,
    set_learning_rate,
    to_host,
)
from mtrack_ppo.ppo import PpoLoss, optimise, prepare


@component
class Finetune(PpoPhase):
    """PPO on the student's actor and the critic, after a warm-up of the critic; nothing else changes."""

    lr: float = param(default=1e-4, validator=between(1e-12, 1.0))
    """Learning rate of Adam; if it is adaptive, the initial one."""
    entropy: Schedule = param(default=Schedule(0.0025, 0.0005, "exp"))
    """Coefficient of the entropy bonus."""
    critic_warmup: float = param(default=0.025, validator=between(0.0, 1.0))
    """Progress until which only the critic learns, because it has only seen the teacher act."""

    actor = "student"
    trains = (TeacherStudent, "teacher_student")
    follows = ("adapt", "finetune")

    def enter(self, agent: TeacherStudent, layout: Layout, previous: str | None) -> None:
        """Create the optimisers. Raises MtrackError if the student has not been adapted."""
        self.start("finetune", agent, layout, previous)
        self.actor_adam = make_adam(agent.actor_student, self.lr)
        self.critic_adam = make_adam(agent.critic, self.lr)

    @torch.no_grad()
    def act(self, observations: TensorDict) -> TensorDict:
        """Return the student's random `action` [n, A] and what its update needs, see `policy_output`."""
        return policy_output(self, observations)

    def update(self, rollout: Rollout, progress: float) -> Mapping[str, Tensor | float]:
        """Learn from a rollout. Returns losses and other metrics, means over the update."""
        batch, metrics = prepare(self, rollout)
        set_learning_rate(self.actor_adam, self.present_rate)
        critic_only = progress < self.critic_warmup
        adams = [self.critic_adam] if critic_only else [self.actor_adam, self.critic_adam]
        metrics |= optimise(PpoLoss.at(self, progress, critic_only=critic_only), batch, adams)
        numbers = to_host(metrics) | {"policy/learning_rate": self.present_rate}
        self.learning_rate = self.next_learning_rate(numbers, progress)
        return numbers
