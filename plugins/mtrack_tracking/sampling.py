"""Which clip and frame an episode starts at: uniform, or more often where the robot fails."""

from __future__ import annotations

import torch
from torch import Tensor

_SHARE_STARTED = 0.75  # of a clip
_FRAMES_LEFT = 100


def last_start(length: Tensor) -> Tensor:
    """Return the last frame to start at, int64 [C]: three quarters into a clip, and 100 frames before its end."""
    return torch.minimum((length * _SHARE_STARTED).long(), length - _FRAMES_LEFT).clamp_min(0)


def shared_out(amount: Tensor, slot: Tensor, slot_weight: Tensor) -> Tensor:
    """Return probabilities, float64, that give each slot its weight, and within a slot go by `amount` (not all 0)."""
    amount = amount.double()
    total = torch.zeros_like(slot_weight, dtype=torch.float64).index_add_(0, slot, amount)
    share = slot_weight.double()[slot] * amount / total[slot].clamp_min(torch.finfo(torch.float64).tiny)
    return share / share.sum()


def draw_index(cumulative: Tensor, uniform: Tensor) -> Tensor:
    """Return an index for each uniform number in [0, 1), int64 [n], given cumulative probabilities, float64."""
    # scaled to the sum as it was rounded, so that no number lies beyond the last index
    return torch.searchsorted(cumulative, uniform.double() * cumulative[-1], right=True).clamp_max(len(cumulative) - 1)


class UniformStarts:
    """A clip by slot weight and then by its frames; any frame of it up to `last_start`."""

    def __init__(self, length: Tensor, slot: Tensor, slot_weight: Tensor) -> None:
        """Take the clips: frames int64 [C], slot int64 [C]; and the weights of the slots."""
        self.last = last_start(length)
        self.cumulative = shared_out(length, slot, slot_weight).cumsum(0)

    def draw(self, uniform: Tensor) -> tuple[Tensor, Tensor]:
        """Return clip and frame, int64 [n], for uniform numbers [n, 2]."""
        clip = draw_index(self.cumulative, uniform[:, 0])
        return clip, (uniform[:, 1] * (self.last[clip] + 1)).long()


class FailureBins:
    """All clips cut into bins; a bin is drawn more often the more often rows have failed in it or shortly after it."""

    def __init__(
        self,
        length: Tensor,
        slot: Tensor,
        slot_weight: Tensor,
        *,
        frames: int,
        kernel: int,
        decay: float,
        uniform: float,
    ) -> None:
        """Cut clips (frames int64 [C], slot int64 [C]) into bins of `frames`.

        A bin counts the failures of itself and the `kernel - 1` bins after it in its clip, each by `decay` less;
        `uniform` is the share of starts that ignores failures.
        """
        self.frames, self.uniform_share = frames, uniform
        self.last = last_start(length)
        count = torch.div(length + frames - 1, frames, rounding_mode="floor")
        self.first = count.cumsum(0) - count
        self.clip = torch.repeat_interleave(torch.arange(len(length), device=length.device), count)
        place = torch.arange(len(self.clip), device=length.device)
        self.start = (place - self.first[self.clip]) * frames
        self.slot, self.slot_weight = slot[self.clip], slot_weight
        ahead = place.unsqueeze(1) + torch.arange(kernel, device=length.device)
        self.ahead = ahead.clamp_max(len(place) - 1)
        inside = (self.clip[self.ahead] == self.clip.unsqueeze(1)) & (ahead < len(place))
        self.kernel = inside * decay ** torch.arange(kernel, device=length.device)
        self.size = (length[self.clip] - self.start).clamp_max(frames)
        self.uniform = shared_out(self.size, self.slot, slot_weight)

    def of(self, clip: Tensor, frame: Tensor) -> Tensor:
        """Return the bin of each clip and frame, int64 [n]."""
        return self.first[clip] + torch.div(frame, self.frames, rounding_mode="floor")

    def probability(self, failures: Tensor) -> Tensor:
        """Return the probability of each bin, float64, given the failure rate of each."""
        difficulty = (failures[self.ahead] * self.kernel).sum(1)
        # where nothing in a slot has failed yet, all of its frames are equally difficult
        none = torch.zeros_like(self.slot_weight).index_add_(0, self.slot, difficulty)[self.slot] == 0
        by_failure = shared_out(
            torch.where(none, self.size.to(difficulty.dtype), difficulty), self.slot, self.slot_weight
        )
        return self.uniform_share * self.uniform + (1.0 - self.uniform_share) * by_failure

    def draw(self, failures: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
        """Return clip and frame, int64 [n], for failure rates of the bins and uniform numbers [n, 2]."""
        chosen = draw_index(self.probability(failures).cumsum(0), uniform[:, 0])
        clip = self.clip[chosen]
        frame = self.start[chosen] + (uniform[:, 1] * self.size[chosen]).long()
        return clip, torch.minimum(frame, self.last[clip])
