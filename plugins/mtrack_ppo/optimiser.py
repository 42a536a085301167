"""Adam on one network, with a bound on the norm of its gradient, that can skip a step without asking the device."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mtrack_ppo.ranks import average_over_ranks


def make_adam(network: nn.Module, learning_rate: float) -> torch.optim.Adam:
    """Return Adam on a network's parameters."""
    return torch.optim.Adam(network.parameters(), lr=learning_rate, fused=True)


def set_learning_rate(optimiser: torch.optim.Adam, learning_rate: float) -> None:
    """Change the step size."""
    for group in optimiser.param_groups:
        group["lr"] = learning_rate


def descend(loss: Tensor, optimisers: Sequence[torch.optim.Adam], max_grad_norm: float) -> Tensor:
    """Take one step down a loss, each network's gradient bounded by itself.

    Nothing is changed where the loss or a gradient, of any rank, is not finite. Returns whether it was, a scalar of 1.0
    (skipped) or 0.0.
    """
    for optimiser in optimisers:
        optimiser.zero_grad()
    loss.backward()
    gradients = [
        [p.grad for group in optimiser.param_groups for p in group["params"] if p.grad is not None]
        for optimiser in optimisers
    ]
    # all ranks must come to the same decision, so the loss goes with the gradients
    shared_loss = loss.detach().clone()
    average_over_ranks([shared_loss, *(gradient for of_one in gradients for gradient in of_one)])
    norms = [torch.nn.utils.get_total_norm(of_one) for of_one in gradients]
    skipped = (~torch.stack([shared_loss, *norms]).isfinite().all()).float()
    for optimiser, norm in zip(optimisers, norms, strict=True):
        # what torch's GradScaler uses: gradients are divided by one, and the step is left out where the other is 1
        optimiser.grad_scale = (norm / max_grad_norm).clamp_min(1.0)  # type: ignore[attr-defined]
        optimiser.found_inf = skipped  # type: ignore[attr-defined]
        optimiser.step()
        for group in optimiser.param_groups:  # fused steps do not count as changes in place by themselves
            torch.autograd.graph.increment_version(group["params"])
    return skipped
