"""The samples of one rollout, flat and ready to be drawn in minibatches."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import torch
from torch import Tensor

from mtrack import Rollout, is_trial


@attrs.frozen(eq=False)
class Samples:
    """n samples of a rollout."""

    rows: Tensor
    """[n, W] normalised observations, as `TeacherStudent.rows`."""
    action: Tensor
    """[n, A]."""
    mean: Tensor
    """[n, A] mean of the policy that acted."""
    log_prob: Tensor
    """[n] of the action under it."""
    advantage: Tensor
    """[n] normalised over the rollout."""
    target: Tensor
    """[n] what the critic's output should be."""
    priv_pred: Tensor
    """[n, sides, F] what the adaptation module makes of them (and of their mirror images); it is not learning now."""


@attrs.frozen(eq=False)
class Batch:
    """All samples of a rollout, in one order throughout."""

    rows: Tensor
    """[R, W], in the dtype to compute in."""
    figures: Tensor
    """[R, 2 A + 3] float32: action, mean, log_prob, advantage, target; together, to be gathered at once."""
    priv_pred: Tensor
    """[R, sides, F]."""

    def take(self, index: Tensor) -> Samples:
        """Return the samples at places int64 [n]."""
        figures = self.figures.index_select(0, index)
        num_actions = (figures.shape[1] - 3) // 2
        action, mean, rest = figures.tensor_split((num_actions, 2 * num_actions), dim=1)
        log_prob, advantage, target = rest.unbind(1)
        rows, priv_pred = self.rows.index_select(0, index), self.priv_pred.index_select(0, index)
        return Samples(rows, action, mean, log_prob, advantage, target, priv_pred)


def flat(value: Tensor) -> Tensor:
    """Return [N, T, ...] as [R, ...], step after step: the order the kernel writes in, so that nothing is copied."""
    return value.transpose(0, 1).flatten(0, 1)


def kept(rollout: Rollout) -> Tensor:
    """Return the places of the samples to learn from, int64 [R]: each sample's own where its weight is above 0.

    Any other is stood in for by one before it that counts, or by the first that does. It is not weighed with 0, because
    0 times what is not finite is not finite; nor left out, because a GPU would have to wait to learn how many are left.
    """
    counts = flat(torch.as_tensor(rollout.data["_weight"])) > 0
    places = torch.arange(len(counts), device=counts.device)
    first = counts.int().argmax()
    return torch.where(counts, places, first).cummax(0).values


def minibatches(places: Tensor, epochs: int, number: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield places in a new order each epoch, in `number` equal parts (as far as they divide), int64 [n / number]."""
    if is_trial():  # one part shows what all of them would
        yield places[: max(1, len(places) // number)]
        return
    for _ in range(epochs):
        order = torch.randperm(len(places), generator=generator, device=generator.device)
        yield from places[order.to(places.device)].tensor_split(number)
