"""What one iteration gathers: data [N, T], what follows it, and the true last observations of truncated rows."""

from __future__ import annotations

import attrs
import torch
from tensordict import TensorDict
from torch import Tensor


@attrs.define(eq=False)
class Rollout:
    """N environments over T steps.

    `data` holds the observation groups at the time of acting, all that `Phase.act` returned, and `next`: `reward` of
    each group [N, T, G], `terminated` and `truncated` bool [N, T]; `_weight` [N, T], 0 for samples left out of losses.
    """

    data: TensorDict
    """[N, T], see above."""
    reward_groups: tuple[str, ...]
    """Name of each column of `reward`, G of them."""
    next_observations: TensorDict
    """Observations after the last step, [N, ...]: after a reset where one happened."""
    final_index: Tensor
    """int64 [n, 2]: row and step of each truncation, in order."""
    final: TensorDict
    """True final observations of those truncations, [n, ...]."""

    @property
    def reward(self) -> Tensor:
        """Sum of the reward groups, [N, T]."""
        return torch.as_tensor(self.data["next", "reward"]).sum(-1)

    @property
    def done(self) -> Tensor:
        """Whether the episode ended with the step, bool [N, T]."""
        return torch.as_tensor(self.data["next", "terminated"]) | torch.as_tensor(self.data["next", "truncated"])
