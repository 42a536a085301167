"""The phase `ppo`: the only actor of `actor_critic` learns with PPO, without teacher and student."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from tensordict import TensorDict
from torch import Tensor

from mtrack import Layout, Rollout, component, scratch
from mtrack.api.metrics import LEFT_OUT
from mtrack_ppo.actor_critic import POLICY, ActorCritic
from mtrack_ppo.phases import (
    PpoPhase,
    make_adam,
    policy_output,
    set_learning_rate,
    to_host,
)
from mtrack_ppo.ppo import PpoLoss, flat, optimise, prepare


@component
class Ppo(PpoPhase):
    """PPO on the actor and the critic of `actor_critic`; an adaptive learning rate is that of both."""

    agent: ActorCritic = scratch()

    actor = POLICY
    trains = (ActorCritic, "actor_critic")
    follows = (None, "ppo")

    def enter(self, agent: ActorCritic, layout: Layout, previous: str | None) -> None:
        """Create the optimisers. Raises MtrackError after another phase, or if something has no mirror."""
        self.start("ppo", agent, layout, previous)
        self.actor_adam = make_adam(agent.actor_policy, self.lr)
        self.critic_adam = make_adam(agent.critic, self.lr)

    @torch.no_grad()
    def act(self, observations: TensorDict) -> TensorDict:
        """Return a random `action` [n, A] and what the update needs, see `policy_output`."""
        self.agent.start_normalisers(observations)
        return policy_output(self, observations)

    def update(self, rollout: Rollout, progress: float) -> Mapping[str, Tensor | float]:
        """Learn from a rollout. Returns losses and other metrics, means over the update."""
        batch, metrics = prepare(self, rollout)
        adams = [self.actor_adam, self.critic_adam]
        for adam in adams:
            set_learning_rate(adam, self.present_rate)
        metrics |= optimise(PpoLoss.at(self, progress), batch, adams)
        observations = {group: flat(torch.as_tensor(rollout.data[group])) for group in self.agent.groups}
        metrics[LEFT_OUT] += self.agent.learn_normalisers(observations)
        numbers = to_host(metrics) | {"policy/learning_rate": self.present_rate}
        self.learning_rate = self.next_learning_rate(numbers, progress)
        return numbers
