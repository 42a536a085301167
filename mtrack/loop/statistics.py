"""Statistics of the episodes of one iteration, accumulated on the device and read once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mtrack.api.distributed import num_ranks, sum_over_ranks
from mtrack.api.metrics import DIVERGED, RAW_REWARD

_OF_EPISODES = ("episode/length", "episode/return", "episode/completed")  # means over the episodes that have ended


class EpisodeStatistics:
    """Mean rewards by term; length, return and end of the episodes that ended; how often the simulation diverged."""

    def __init__(
        self, num_envs: int, reward_paths: Sequence[str], groups: Sequence[str], reasons: Sequence[str], device: str
    ) -> None:
        """Allocate; `reward_paths` and `reasons` name the columns of what `add` gets; the last reason is divergence."""
        weighted, raw = ([f"{first}/{path}" for path in reward_paths] for first in ("reward", RAW_REWARD))
        self.names = (*weighted, *(f"reward/{group}" for group in groups), *raw)
        self.reasons = tuple(f"termination/{reason}" for reason in reasons)
        self.episode_return = torch.zeros(num_envs, device=device)
        self.weights = torch.ones(len(raw), device=device)
        self.sums = torch.zeros(len(raw) + len(groups), device=device)
        """Of raw terms and groups, since the weights last changed."""
        self.totals = torch.zeros(len(self.names), device=device)
        self.ended = torch.zeros(4 + len(self.reasons), device=device)
        self.steps = 0

    @property
    def reported(self) -> tuple[str, ...]:
        """Names of all that `read` can return: some only if an episode has ended."""
        return (*self.names, "episode/count", DIVERGED, *_OF_EPISODES, *self.reasons)

    def set_weights(self, weights: Tensor) -> None:
        """Take what each term is multiplied with in its group from now on, [R]."""
        self._apply_weights()
        self.weights = weights

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
        self._apply_weights()
        means = sum_over_ranks(self.totals) / (max(1, self.steps) * num_ranks())
        values = dict(zip(self.names, means.tolist(), strict=True))
        count = ended[0]
        values["episode/count"] = count
        values[DIVERGED] = ended[-1]
        if count:
            values.update(zip((*_OF_EPISODES, *self.reasons), (number / count for number in ended[1:]), strict=True))
        self.totals.zero_()
        self.ended.zero_()
        self.steps = 0
        return values

    def _apply_weights(self) -> None:
        """Move the sums to the totals: terms weighted, groups, terms as they are; once, not in every step."""
        terms, groups = self.sums.split((len(self.weights), len(self.sums) - len(self.weights)))
        self.totals += torch.cat((terms * self.weights, groups, terms))
        self.sums.zero_()
