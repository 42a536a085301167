"""The phase `ppo`: the only actor of `actor_critic` learns with PPO, without teacher and student."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from tensordict import TensorDict
from torch import Tensor

from mtrack import Layout, Rollout, component, require_order, scratch
from mtrack_ppo.actor_critic import POLICY, ActorCritic
from mtrack_ppo.phases import (
    PpoPhase,
    compute_dtype,
    make_adam,
    policy_output,
    require_agent,
    require_same_shapes,
    seeded_default,
    set_learning_rate,
    to_host,
)
from mtrack_ppo.ppo import PpoLoss, flat, optimise, prepare


@component
class Ppo(PpoPhase):
    """PPO on the actor and the critic of `actor_critic`; an adaptive learning rate is that of both."""

    agent: ActorCritic = scratch()

    actor = POLICY
    follows = (None, "ppo")

    def enter(self, agent: ActorCritic, layout: Layout, previous: str | None) -> None:
        """Create the optimisers. Raises MtrackError after another phase, or if something has no mirror."""
        require_order("ppo", self.follows, previous)
        require_agent("ppo", agent, ActorCritic, "actor_critic")
        self.mirrored = self.mirror and not agent.symmetric
        require_same_shapes("ppo", agent, layout, self.mirrored)
        self.rng = seeded_default(self.rng)
        self.agent, self.layout, self.dtype = agent, layout, compute_dtype(self.autocast, layout.device)
        self.learning_rate = self.lr
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
            set_learning_rate(adam, self.learning_rate)
        metrics |= optimise(PpoLoss.at(self, progress), batch, adams)
        self.agent.learn_normalisers({group: flat(torch.as_tensor(rollout.data[group])) for group in self.agent.groups})
        numbers = to_host(metrics) | {"policy/learning_rate": self.learning_rate}
        self.learning_rate = self.next_learning_rate(numbers, progress)
        return numbers
