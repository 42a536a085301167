"""Acting: the normal distribution an actor gives for the present observations, and a draw from it."""

from __future__ import annotations

import torch
from tensordict import TensorDict
from torch import Tensor

from mtrack_ppo import losses
from mtrack_ppo.agent import TeacherStudent


def sampled(agent: TeacherStudent, actor: str, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return an action of `teacher` or `student` for rows [n, W], and its mean, both [n, A]."""
    mean = agent.mean_action(actor, rows, agent.feature(actor, rows))
    noise = torch.randn(mean.shape, generator=generator, device=generator.device).to(mean.device)
    return mean + agent.actor(actor).std * noise, mean


def decision(agent: TeacherStudent, actor: str, rows: Tensor, generator: torch.Generator) -> TensorDict:
    """Return `action` [n, A], its `mean` and `log_prob`, `state_value` [n] and the `normalised` rows [n, W]."""
    action, mean = sampled(agent, actor, rows, generator)
    parts = {
        "action": action,
        "mean": mean,
        "log_prob": losses.log_prob(action, mean, agent.actor(actor).std),
        "state_value": agent.value(rows),
        "normalised": rows,
    }
    return TensorDict(parts, batch_size=rows.shape[:1])
