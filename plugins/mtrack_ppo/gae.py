"""Generalised advantage estimation."""

from __future__ import annotations

import torch
from torch import Tensor


def bootstrap_values(
    value: Tensor, following: Tensor, terminated: Tensor, final_index: Tensor, final_value: Tensor
) -> Tensor:
    """Return the value of the state each step led to, [N, T].

    That is the next step's value [N, T], after the last step `following` [N]; where the episode was truncated, the
    value of its true final observation: `final_value` [n] at `final_index` [n, 2]; where it terminated, 0.
    """
    following_values = torch.cat((value[:, 1:], following.unsqueeze(-1)), dim=-1)
    row, step = final_index.unbind(-1)
    following_values.index_put_((row, step), final_value)
    return following_values.masked_fill_(terminated, 0.0)


def advantages(reward: Tensor, value: Tensor, next_value: Tensor, done: Tensor, *, gamma: float, lam: float) -> Tensor:
    """Return the advantage of each step, all [N, T].

    A_t = d_t + gamma lambda (1 - done_t) A_(t+1) with d_t = r_t + gamma V(s_(t+1)) - V(s_t): Schulman et al.,
    High-Dimensional Continuous Control Using Generalized Advantage Estimation, 2016.
    """
    errors = (reward + gamma * next_value - value).unbind(-1)
    decays = (gamma * lam * (~done)).unbind(-1)
    found, later = [], torch.zeros_like(errors[0])
    for error, decay in zip(reversed(errors), reversed(decays), strict=True):
        later = error + decay * later
        found.append(later)
    return torch.stack(found[::-1], dim=-1)
