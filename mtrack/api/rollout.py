"""The data that one iteration collects: observations, actions, rewards and final observations."""

from __future__ import annotations

import attrs
import torch
from tensordict import TensorDict
from torch import Tensor


@attrs.define(eq=False)
class Rollout:
    """N environments over T control steps."""

    data: TensorDict
    """Samples, [N, T]. Its keys are:

    - each observation group, as observed before the step;
    - everything that `Phase.act` returned, such as `action`;
    - `_weight`, 0 if the simulation diverged, so that the sample is excluded from losses; otherwise 1;
    - `next`, with `reward` [N, T, G], `terminated` bool [N, T] and `truncated` bool [N, T].
    """
    reward_groups: tuple[str, ...]
    """Name of each of the G columns of `reward`."""
    next_observations: TensorDict
    """Observations after the last step, [N, ...]; those after the reset if an episode has ended."""
    final_index: Tensor
    """int64 [n, 2], environment and step of each truncated episode, ordered by step."""
    final: TensorDict
    """Observations at the end of these truncated episodes, before the reset, [n, ...]."""

    @property
    def reward(self) -> Tensor:
        """Sum over the reward groups, [N, T]."""
        return torch.as_tensor(self.data["next", "reward"]).sum(-1)

    @property
    def done(self) -> Tensor:
        """Whether the episode ended with this step, bool [N, T]."""
        return torch.as_tensor(self.data["next", "terminated"]) | torch.as_tensor(self.data["next", "truncated"])
