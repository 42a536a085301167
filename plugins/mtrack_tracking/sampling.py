"""Which clip and frame an episode starts at: uniformly drawn, or more often where episodes fail."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from mtrack_motion.library import MotionLibrary

_SHARE_STARTED = 0.75  # of a clip
_FRAMES_LEFT = 100


def last_start(length: Tensor) -> Tensor:
    """Return the last frame to start at, int64 [C]: three quarters into a clip, and 100 frames before its end."""
    return torch.minimum((length * _SHARE_STARTED).long(), length - _FRAMES_LEFT).clamp_min(0)


def normalise_per_slot(amount: Tensor, slot: Tensor, slot_weight: Tensor) -> Tensor:
    """Return probabilities, float64, in proportion to `amount` (not all 0) in each slot, and to the slots' weights."""
    amount = amount.double()
    total = torch.zeros_like(slot_weight, dtype=torch.float64).index_add_(0, slot, amount)
    share = slot_weight.double()[slot] * amount / total[slot].clamp_min(torch.finfo(torch.float64).tiny)
    return share / share.sum()


def draw_index(cumulative: Tensor, uniform: Tensor) -> Tensor:
    """Return an index for each uniform number in [0, 1), int64 [n], given cumulative probabilities, float64."""
    # scaled to the rounded sum, so that no number is beyond the last index
    return torch.searchsorted(cumulative, uniform.double() * cumulative[-1], right=True).clamp_max(len(cumulative) - 1)


def retry(frame: Tensor, frames_back: tuple[int, int], uniform: Tensor) -> Tensor:
    """Return frames shortly before those where episodes failed, int64 [n], for uniform numbers [n]."""
    least, most = frames_back
    back = least + (uniform * (most - least + 1)).long()
    return (frame - back).clamp_min(0)


def frame_range(_: object, attribute: attrs.Attribute[tuple[int, int]], value: tuple[int, int]) -> None:
    """Raise ValueError unless a value is a least and a most number of frames."""
    if not 0 <= value[0] <= value[1]:
        raise ValueError(f"'{attribute.name}' must be [least, most], not negative; it is {list(value)}")


def _of_clips(weight: Tensor | None, length: Tensor) -> Tensor:
    return torch.ones_like(length, dtype=torch.float32) if weight is None else weight


class UniformStarts:
    """Draws a clip by the weight of its slot and then by its frames, and any frame of it up to `last_start`."""

    def __init__(self, length: Tensor, slot: Tensor, slot_weight: Tensor, weight: Tensor | None = None) -> None:
        """Take C clips: their frames and slots, int64 [C]; weights of the slots, and of clips in their slot [C]."""
        self.last = last_start(length)
        self.cumulative = normalise_per_slot(length * _of_clips(weight, length), slot, slot_weight).cumsum(0)

    def draw(self, uniform: Tensor) -> tuple[Tensor, Tensor]:
        """Return clip and frame, int64 [n], for uniform numbers [n, 2]."""
        clip = draw_index(self.cumulative, uniform[:, 0])
        return clip, (uniform[:, 1] * (self.last[clip] + 1)).long()


class PinnedStarts:
    """Starts each environment at its own clip and frame, not at drawn ones: for evaluations and viewers."""

    def __init__(self, library: MotionLibrary, clips: Tensor, frames: Tensor) -> None:
        """Take clips of a library and their frames, int64 [N]. Raises ValueError if a clip or a frame is missing."""
        lengths = library.length.tolist()
        for clip, frame in zip(clips.tolist(), frames.tolist(), strict=True):
            if not 0 <= clip < len(lengths):
                raise ValueError(f"there are {len(lengths)} clips, numbered from 0; there is no clip {clip}")
            if not 0 <= frame < lengths[clip]:
                raise ValueError(f"clip {library.names[clip]} has {lengths[clip]} frames; it has no frame {frame}")
        self.clips, self.frames = clips, frames

    def draw(self, env_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Return clip and frame of some environments, int64 [n]."""
        return self.clips[env_ids], self.frames[env_ids]


class ClipBins:
    """All clips cut into bins of some frames; the last bin of a clip may be shorter."""

    def __init__(self, length: Tensor, frames: int) -> None:
        """Cut clips of `length` frames, int64 [C], into bins of `frames`."""
        self.frames = frames
        count = torch.div(length + frames - 1, frames, rounding_mode="floor")
        self.first = count.cumsum(0) - count
        self.clip = torch.repeat_interleave(torch.arange(len(length), device=length.device), count)
        index = torch.arange(len(self.clip), device=length.device)
        self.start = (index - self.first[self.clip]) * frames
        self.size = (length[self.clip] - self.start).clamp_max(frames)

    def of(self, clip: Tensor, frame: Tensor) -> Tensor:
        """Return the bin of each clip and frame, int64 [n]."""
        return self.first[clip] + torch.div(frame, self.frames, rounding_mode="floor")


class FailureBins(ClipBins):
    """Bins that are drawn more often the more often episodes fail in them or shortly after them.

    As with `UniformStarts`, episodes start up to `last_start` of a clip. Only the bins up to there are drawn, the last
    of them with the frames that remain; failures in later bins are counted in that last bin.
    """

    def __init__(
        self,
        length: Tensor,
        slot: Tensor,
        slot_weight: Tensor,
        weight: Tensor | None = None,
        *,
        frames: int,
        kernel: int,
        decay: float,
        uniform: float,
    ) -> None:
        """Cut clips into bins of `frames`; the clips are given as to `UniformStarts`.

        A bin counts its own failures and those of the next `kernel - 1` bins of its clip, each with `decay` times the
        weight of the one before; `uniform` is the share of starts that ignores failures.
        """
        super().__init__(length, frames)
        self.uniform_share = uniform
        starts = (last_start(length) + 1)[self.clip]  # frames of each bin's clip that an episode can start at
        drawn = torch.div(starts, frames, rounding_mode="floor").clamp_min(1)
        index = torch.arange(len(self.clip), device=length.device) - self.first[self.clip]
        self.counted_in = self.first[self.clip] + torch.minimum(index, drawn - 1)
        """int64 [bins] the bin in which an episode can start to practise each bin."""
        remainder = starts - (drawn - 1) * frames
        self.startable = torch.where(index == drawn - 1, remainder, frames).masked_fill(index >= drawn, 0)
        """int64 [bins] number of frames of each bin that an episode can start at."""
        self.slot = slot[self.clip]
        self.weight = _of_clips(weight, length)[self.clip]
        # a failure k bins ahead counts if that bin is of the same clip, [bins - k] each
        ahead = range(1, min(kernel, len(self.clip)))
        self.ahead = [(self.clip[k:] == self.clip[:-k]) * decay**k for k in ahead]
        # each clip as often as `UniformStarts` draws it, and each of its startable frames equally often
        frame_weight = length[self.clip].double() / starts
        self.uniform = normalise_per_slot(self.startable * frame_weight * self.weight, self.slot, slot_weight)
        self.slot_share = torch.zeros_like(slot_weight, dtype=torch.float64).index_add_(0, self.slot, self.uniform)

    def probability(self, failures: Tensor) -> Tensor:
        """Return the probability of each bin, float64, given the failure rate of each."""
        counted = torch.zeros_like(failures).index_add_(0, self.counted_in, failures)
        difficulty = counted.clone()
        for k, counts in enumerate(self.ahead, start=1):
            difficulty[:-k] += counted[k:] * counts
        amount = (difficulty * self.weight).double()
        total = torch.zeros_like(self.slot_share).index_add_(0, self.slot, amount)
        # as long as nothing in a slot has failed, all of its frames are equally difficult
        none = total == 0.0
        scale = (self.slot_share / total).masked_fill(none, 0.0).index_select(0, self.slot)
        by_failure = amount * scale + self.uniform * none.double().index_select(0, self.slot)
        return self.uniform_share * self.uniform + (1.0 - self.uniform_share) * by_failure

    def draw(self, failures: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
        """Return clip and frame, int64 [n], for failure rates of the bins and uniform numbers [n, 2]."""
        chosen = draw_index(self.probability(failures).cumsum(0), uniform[:, 0])
        return self.clip[chosen], self.start[chosen] + (uniform[:, 1] * self.startable[chosen]).long()
