"""The agent `actor_critic`: one actor and a critic with observations of its own, for training in a single phase."""

from __future__ import annotations

import torch
from tensordict import TensorDict
from torch import Tensor

from mtrack import Layout, MtrackError, component, param, state
from mtrack_ppo.networks import Actor
from mtrack_ppo.ppo_agent import PpoAgent

POLICY = "policy"
"""Name of its only actor."""


@component
class ActorCritic(PpoAgent):
    """An actor that sees what the robot can sense, and a critic that may see more: no teacher, no student."""

    critic_group: str = param(default="critic")
    """Observation group that the critic sees, and nothing else; may be the policy group."""

    actor_policy: Actor = state()

    def observation_groups(self) -> dict[str, str]:
        """Return the groups that it reads, by parameter."""
        return {"policy_group": self.policy_group, "critic_group": self.critic_group}

    def build(self, layout: Layout) -> None:
        """Create networks and normalisers. Raises MtrackError if a group is missing or a pattern matches no action."""
        self.build_normalisers(layout)
        self.actor_policy = self.new_actor("actor_policy", layout)
        self.critic = self.new_critic(layout, self.critic_group)

    @torch.no_grad()
    def policy(self, observations: TensorDict, actor: str) -> Tensor:
        """Return the mean action [n, A]; it only needs the policy group."""
        return torch.as_tensor(self.actor(actor).mean(*self._coordinates(observations, self.policy_group)))

    def actor(self, name: str) -> Actor:
        """Return the actor `policy`. Raises MtrackError for another name."""
        if name != POLICY:
            raise MtrackError(f"agent 'actor_critic' has no actor '{name}'; it has only '{POLICY}'")
        return self.actor_policy

    def raw_value(self, inputs: Tensor, mirrored: bool = False) -> Tensor:
        """Return the critic's output, [n] float32: the value, normalised if `value_normalisation`."""
        even, odd = self.columns[self.critic_group]
        return torch.as_tensor(self.critic(inputs[:, even], inputs[:, odd], mirrored=mirrored)).squeeze(-1)
