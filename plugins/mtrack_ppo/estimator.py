"""The adaptation module's own training: predict the teacher's privileged feature from what the student senses."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrack.metrics import SKIPPED
from mtrack.ranks import num_ranks, sum_over_ranks
from mtrack_ppo.agent import TeacherStudent
from mtrack_ppo.batch import minibatches
from mtrack_ppo.compile import compiled
from mtrack_ppo.optimiser import descend
from mtrack_ppo.ranks import moments


@torch.no_grad()
def features(agent: TeacherStudent, rows: Tensor, mirrored: bool) -> Tensor:
    """Return what there is to predict: the encoder's features of rows (and of their mirror images), [R, sides, F]."""
    return agent.priv_feature(rows, mirrored).view(len(rows), 2 if mirrored else 1, -1)


def train_estimator(
    agent: TeacherStudent,
    optimiser: torch.optim.Adam,
    rows: Tensor,
    target: Tensor,
    places: Tensor,
    *,
    epochs: int,
    number: int,
    max_grad_norm: float,
    generator: torch.Generator,
    compile: bool,
) -> dict[str, Tensor]:
    """Descend MSE(priv_pred, target) on the rows at `places`, and on their mirror images where the target has them.

    The encoder does not learn from it: its `features` are computed once. Returns the mean loss and the share of skipped
    steps.
    """
    loss_of = compiled(_loss, rows.device) if compile else _loss
    total, skips = torch.zeros((), device=rows.device), torch.zeros((), device=rows.device)
    for index in minibatches(places, epochs, number, generator):
        loss = loss_of(agent, rows.index_select(0, index), target.index_select(0, index))
        skipped = descend(loss, [optimiser], max_grad_norm)
        total = total + loss.detach().masked_fill(skipped.bool(), 0.0)
        skips = skips + skipped
    taken = (epochs * number - skips).clamp_min(1.0)
    skipped_share = skips / max(1, epochs * number)
    return {"loss/estimator": sum_over_ranks(total) / (num_ranks() * taken), SKIPPED: skipped_share}


def _loss(agent: TeacherStudent, rows: Tensor, target: Tensor) -> Tensor:
    prediction = agent.priv_pred(rows, mirrored=target.shape[1] == 2).view_as(target)
    return (prediction - target).float().square().mean()


def explained_variance(loss: Tensor, target: Tensor, places: Tensor) -> Tensor:
    """Return the share of the target's variance at `places` that a mean squared error leaves explained, a scalar."""
    _, variance = moments(target.index_select(0, places).flatten(0, 1).float())
    return 1.0 - loss / variance.mean().clamp_min(1e-8)
