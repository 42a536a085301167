"""The adaptation module's own training: predict the teacher's privileged feature from what the student senses."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrack_ppo.agent import TeacherStudent
from mtrack_ppo.batch import minibatches
from mtrack_ppo.optimiser import descend
from mtrack_ppo.ranks import num_ranks, sum_over_ranks


def train_estimator(
    agent: TeacherStudent,
    optimiser: torch.optim.Adam,
    rows: Tensor,
    places: Tensor,
    *,
    epochs: int,
    number: int,
    mirrored: bool,
    max_grad_norm: float,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Descend MSE(priv_pred, encoder_priv(priv)) on the rows at `places`, and on their mirror images.

    The encoder does not learn from it, so its features are computed once. Returns the mean loss and the steps skipped.
    """
    sides = 2 if mirrored else 1
    with torch.no_grad():
        target = agent.priv_feature(rows, mirrored).view(len(rows), sides, -1)
    total, skips = torch.zeros((), device=rows.device), torch.zeros((), device=rows.device)
    for index in minibatches(places, epochs, number, generator):
        prediction = agent.priv_pred(rows.index_select(0, index), mirrored).view(len(index), sides, -1)
        loss = (prediction - target.index_select(0, index)).float().square().mean()
        skipped = descend(loss, [optimiser], max_grad_norm)
        total = total + loss.detach().masked_fill(skipped.bool(), 0.0)
        skips = skips + skipped
    taken = (epochs * number - skips).clamp_min(1.0)
    return {"loss/estimator": sum_over_ranks(total) / (num_ranks() * taken), "skipped": skips}
