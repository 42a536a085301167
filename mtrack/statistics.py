"""Statistics of the episodes of one iteration, accumulated on the device and read once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mtrack.ranks import num_ranks, sum_over_ranks

DIVERGED = "env/diverged"
"""Metric: environment steps of an iteration, of all environments and processes, in which the simulation diverged."""


class EpisodeStatistics:
    """Mean rewards by term; length, return and end of the episodes that ended; how often the simulation diverged."""

    def __init__(
        self, num_envs: int, reward_paths: Sequence[str], groups: Sequence[str], reasons: Sequence[str], device: str
    ) -> None:
        """Allocate; `reward_paths` and `reasons` name the columns of what `add` gets; the last reason is divergence."""
        self.names = (*(f"reward/{path}" for path in reward_paths), *(f"reward/{group}" for group in groups))
        self.reasons = tuple(f"termination/{reason}" for reason in reasons)
        self.episode_return = torch.zeros(num_envs, device=device)
        self.sums = torch.zeros(len(self.names), device=device)
        self.ended = torch.zeros(4 + len(self.reasons), device=device)
        self.steps = 0

    def add(
        self,
        values: Tensor,
        reward: Tensor,
        reasons: Sequence[Tensor],
        terminated: Tensor,
        truncated: Tensor,
        episode_step: Tensor,
    ) -> None:
        """Take in one step: terms [N, R], groups [N, G], reasons and ends bool [N], steps since reset [N]."""
        self.steps += 1
        self.sums += torch.cat((values, reward), dim=-1).mean(0)
        self.episode_return += reward.sum(-1)
        done = terminated | truncated
        columns = (done, done * episode_step, done * self.episode_return, truncated, *reasons)
        self.ended += torch.stack([column.float() for column in columns]).sum(-1)
        self.episode_return.masked_fill_(done, 0.0)

    def read(self) -> dict[str, float]:
        """Return the statistics since the last call, of all processes, and reset them."""
        ended = sum_over_ranks(self.ended).tolist()
        means = sum_over_ranks(self.sums) / (max(1, self.steps) * num_ranks())
        values = dict(zip(self.names, means.tolist(), strict=True))
        count = ended[0]
        values["episode/count"] = count
        values[DIVERGED] = ended[-1]
        if count:
            values["episode/length"] = ended[1] / count
            values["episode/return"] = ended[2] / count
            values["episode/completed"] = ended[3] / count
            values.update(zip(self.reasons, (number / count for number in ended[4:]), strict=True))
        self.sums.zero_()
        self.ended.zero_()
        self.steps = 0
        return values
