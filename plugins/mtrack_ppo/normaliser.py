"""Normalisation by running statistics: of an observation group with its mirror images, and of returns."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mtrack import Mirror, sum_over_ranks

_MIN_STD = 1e-4  # a column that hardly ever moved is only centred: its first movement is not an outlier
_CHUNK = 128  # samples at a time: intermediate results stay in the cache of a CPU
_CHUNK_ON_GPU = 16384  # on a GPU the size only bounds the memory


def chunks(value: Tensor) -> tuple[Tensor, ...]:
    """Split samples [n, ...] into chunks of a size that suits their device."""
    parts: tuple[Tensor, ...] = value.split(_CHUNK if value.device.type == "cpu" else _CHUNK_ON_GPU)
    return parts


class Normaliser(nn.Module):
    """(x - mean) / std of each column, clipped.

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
        self._started = False
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

    @torch.no_grad()
    def learn(self, value: Tensor) -> None:
        """Add data [n, ..., W] of all ranks, and its mirror images, to the statistics.

        If any value is not finite, the whole call changes nothing. Moments of two sets are merged as in Chan, Golub
        and LeVeque, 1979.
        """
        samples = value.numel() / value.shape[-1]
        number = sum_over_ranks(torch.full((), samples, dtype=torch.float64, device=value.device))
        # squares are summed around the mean: around zero, float32 would lose the variance of a column far from zero
        self._started = self._started or bool(self.count > 0)  # cached, so that the host reads `count` only once
        centre = self.mean if self._started else self._symmetric(sum_over_ranks(value.flatten(0, -2).sum(0)) / number)
        total, squares = self._sums(value, centre.float())
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

    def _sums(self, value: Tensor, centre: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sums [W] of deviations and of their squares over all samples of all ranks, float64."""
        sums = torch.zeros(2, value.shape[-1], dtype=torch.float64, device=value.device)
        for chunk in chunks(value.flatten(0, -2)):
            deviation = chunk - centre
            sums[0] += deviation.sum(0)
            sums[1] += deviation.square_().sum(0)
        total, squares = sum_over_ranks(sums)
        return total, squares

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
    def learn(self, returns: Tensor) -> None:
        """Add the returns of a rollout, of all ranks; if any is not finite, nothing changes."""
        flat = returns.double().flatten()
        sums = sum_over_ranks(torch.stack((flat.sum(), flat.square().sum(), torch.full_like(flat[0], len(flat)))))
        averages = self.decay * self.averages + (1.0 - self.decay) * sums / sums[2]
        self.averages.copy_(torch.where(averages.isfinite().all(), averages, self.averages))
