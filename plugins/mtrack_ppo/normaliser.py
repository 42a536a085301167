"""Normalisation by running statistics: of an observation group with its mirror images, and of returns."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mtrack import Mirror, sum_over_ranks

_MIN_STD = 1e-4  # a column that hardly ever moved is only centred: its first movement is not an outlier
_ABSURD = 1e4  # standard deviations, or units of a column that moves by less than 1, from the mean: no measurement
_FIRST_ABSURD = 1e6  # size of a value before there are statistics to compare it with
_CHUNK = 128  # samples at a time: intermediate results stay in the cache of a CPU
_CHUNK_ON_GPU = 16384  # on a GPU the size only bounds the memory


def chunks(value: Tensor) -> tuple[Tensor, ...]:
    """Split samples [n, ...] into chunks of a size that suits their device."""
    parts: tuple[Tensor, ...] = value.split(_CHUNK if value.device.type == "cpu" else _CHUNK_ON_GPU)
    return parts


def asks_first(device: torch.device) -> bool:
    """Return whether to look for absurd values before counting them: on a GPU the host would wait for the answer."""
    return device.type == "cpu"


class Normaliser(nn.Module):
    """(x - mean) / std of each column, clipped.

    A value that is not finite, or absurdly far from the mean (10,000 standard deviations, and 10,000 units), counts as
    the mean: one of them would ruin the statistics for good. If most values of a column are that far away in one call,
    they are its new normal and all count.

    With a mirror, mean and variance are those of the data and its mirror images together. They are exactly symmetric,
    so normalising and mirroring commute. `Mlp.forward` relies on that even if a phase sets mirror = false.
    """

    count: Tensor
    mean: Tensor
    variance: Tensor

    def __init__(self, width: int, mirror: Mirror | None, decay: float = 1.0, clip: float = 10.0) -> None:
        """Start as the identity. Each `learn` keeps the share `decay` of the earlier count; 1 forgets nothing."""
        super().__init__()
        self.mirror = mirror
        self.decay = decay
        self.clip = clip
        self._has_learned = False
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("variance", torch.ones(width))
        self._changes, self._map = -1, (torch.empty(0), torch.empty(0))  # shift and scale, cached until they change

    def forward(self, value: Tensor) -> Tensor:
        """Return the normalised value, [..., W]."""
        changes = self.mean._version + self.variance._version
        if changes != self._changes:
            std = self.variance.sqrt()
            scale = torch.where(std > _MIN_STD, std, 1.0).reciprocal_()
            self._changes, self._map = changes, (-self.mean * scale, scale)
        shift, scale = self._map
        return torch.addcmul(shift, value, scale).clamp_(-self.clip, self.clip)

    def has_learned(self) -> bool:
        """Return whether there are statistics; only until then does the host read `count`."""
        self._has_learned = self._has_learned or bool(self.count > 0)
        return self._has_learned

    @torch.no_grad()
    def learn(self, value: Tensor) -> Tensor:
        """Add data [n, ..., W] of all ranks, and its mirror images, to the statistics.

        Returns how many values were left out, a scalar. Moments of two sets are merged as in Chan, Golub and LeVeque,
        1979.
        """
        samples = value.numel() / value.shape[-1]
        number = sum_over_ranks(torch.full((), samples, dtype=torch.float64, device=value.device))
        # squares are summed around the mean: around zero, float32 would lose the variance of a column far from zero
        centre = self.mean if self.has_learned() else self._first_centre(value, number)
        total, squares, left_out = self._sound_sums(value, centre.float(), number)
        shift, spread = self._symmetric(total / number), self._symmetric(squares / number, signed=False)
        kept = self.count * self.decay
        count = kept + number
        batch_variance = spread - shift.square()
        mean = centre + shift * (number / count)
        variance = (kept * self.variance + number * batch_variance + shift.square() * (kept * number / count)) / count
        is_finite = (mean + variance).isfinite().all()
        self.count.copy_(torch.where(is_finite, count, self.count))
        self.mean.copy_(torch.where(is_finite, mean, self.mean))
        self.variance.copy_(torch.where(is_finite, variance.clamp_min(0.0), self.variance))
        return left_out

    def _first_centre(self, value: Tensor, number: Tensor) -> Tensor:
        """Return the mean of the first data of all ranks, [W] float64; absurd values count as 0."""
        flat = value.flatten(0, -2)
        flat = flat.where(flat.abs() <= _FIRST_ABSURD, 0.0)
        return self._symmetric(sum_over_ranks(flat.sum(0)) / number)

    def _sound_sums(self, value: Tensor, centre: Tensor, number: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return `_sums` without absurd values, and how many were left out of the `number` samples, a scalar."""
        limit = _ABSURD * self.variance.sqrt().clamp_min(1.0)
        if asks_first(value.device):
            total, squares = self._sums(value, centre)
            if (squares <= limit.square()).all():  # so that no value of any rank can be beyond the limit
                return total, squares, torch.zeros_like(number)
        absurd = self._count_absurd(value, centre, limit)
        is_normal = absurd > 0.5 * number
        total, squares = self._sums(value, centre, limit.masked_fill(is_normal, torch.inf))
        return total, squares, absurd.masked_fill(is_normal, 0.0).sum()

    def _count_absurd(self, value: Tensor, centre: Tensor, limit: Tensor) -> Tensor:
        """Return how many values of all ranks are further than `limit` [W] from the centre, or not finite, [W]."""
        count = torch.zeros(value.shape[-1], dtype=torch.float64, device=value.device)
        for chunk in chunks(value.flatten(0, -2)):
            count += (~((chunk - centre).abs_() <= limit)).sum(0)  # NaN is not smaller than anything
        return sum_over_ranks(count)

    def _sums(self, value: Tensor, centre: Tensor, limit: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the sums [W] of deviations and of their squares over all samples of all ranks, float64.

        With `limit` [W], deviations beyond it, and those that are not finite, count as 0.
        """
        sums = torch.zeros(2, value.shape[-1], dtype=torch.float64, device=value.device)
        for chunk in chunks(value.flatten(0, -2)):
            deviation = chunk - centre
            if limit is not None:
                deviation = deviation.where(deviation.abs() <= limit, 0.0)
            sums[0] += deviation.sum(0)
            sums[1] += deviation.square_().sum(0)
        total, squares = sum_over_ranks(sums)
        return total, squares

    def _load_from_state_dict(self, *arguments: Any) -> None:
        """Load statistics, which may be those of an agent that has not learned any yet."""
        super()._load_from_state_dict(*arguments)
        self._has_learned = False

    def _symmetric(self, value: Tensor, signed: bool = True) -> Tensor:
        """Return the average of a statistic [W] and its mirror image."""
        if self.mirror is None:
            return value
        image = value.index_select(0, self.mirror.perm)
        return 0.5 * (value + (image * self.mirror.sign if signed else image))


class ReturnNormaliser(nn.Module):
    """Exponential averages of returns and of their squares, corrected for the bias of starting at zero."""

    averages: Tensor

    def __init__(self, decay: float) -> None:
        """Start as the identity. Each `learn` keeps the share `decay` of the past."""
        super().__init__()
        self.decay = decay
        self.register_buffer("averages", torch.zeros(3, dtype=torch.float64))  # of the return, its square, and 1

    def moments(self) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation, float32 scalars; 0 and 1 before the first `learn`."""
        mean, square, weight = self.averages
        known = weight > 0
        mean, square = mean / weight.where(known, 1.0), square / weight.where(known, 1.0)
        std = (square - mean.square()).clamp_min(1e-8).sqrt()
        return mean.float(), std.where(known, 1.0).float()

    @torch.no_grad()
    def learn(self, returns: Tensor) -> Tensor:
        """Add the returns of a rollout, of all ranks. Returns how many were left out, see `Normaliser`, a scalar."""
        flat = returns.double().flatten()
        mean, std = self.moments()
        limit = _ABSURD * std.clamp_min(1.0)
        is_sound = (flat - mean).abs() <= limit  # False for NaN
        number, absurd = sum_over_ranks(torch.stack((torch.full_like(flat[0], len(flat)), (~is_sound).double().sum())))
        is_normal = absurd > 0.5 * number
        flat = flat.where(is_sound | is_normal, mean.double())
        sums = sum_over_ranks(torch.stack((flat.sum(), flat.square().sum())))
        averages = self.decay * self.averages + (1.0 - self.decay) * torch.cat((sums, number[None])) / number
        self.averages.copy_(torch.where(averages.isfinite().all(), averages, self.averages))
        return torch.as_tensor(absurd.masked_fill(is_normal, 0.0))
