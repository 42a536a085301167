"""Multilayer perceptrons that evaluate observations and their mirror images in one pass, and the Gaussian actor."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Literal

import attrs
import torch
from torch import Tensor, nn
from torch.nn import functional

from mtrack import Mirror
from mtrack_ppo.linear import CastCache, Linear, MirroredLinear
from mtrack_ppo.symmetry import Symmetry, halves

Activation = Literal["elu", "relu", "silu", "mish", "gelu", "tanh"]
Norm = Literal["none", "layer"]

# ELU and ReLU overwrite their input: their derivatives follow from their results, and nothing else needs it
_ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "elu": lambda x: functional.elu(x, inplace=True),
    "relu": lambda x: functional.relu(x, inplace=True),
    "silu": functional.silu,
    "mish": functional.mish,
    "gelu": functional.gelu,
    "tanh": torch.tanh,
    "none": lambda x: x,
}

HIDDEN_GAIN = 2.0**0.5
HEAD_GAIN = 0.01
FEATURE_GAIN = 1.0  # a feature feeds further layers: with the gain of a head, they would hardly see it at first

_LOG_ROOT_TWO_PI = 0.5 * math.log(2.0 * math.pi)


@attrs.frozen
class Style:
    """Settings that all networks of an agent share."""

    activation: Activation | Literal["none"]
    norm: Norm
    seed: int

    def generator(self, name: str) -> torch.Generator:
        """Return the generator that initialises one network; no network's weights depend on the size of another."""
        return torch.Generator().manual_seed(zlib.crc32(f"{self.seed}/{name}".encode()))


class DenseLayer(nn.Module):
    """A linear map, then LayerNorm and activation if the style has them; computes in the dtype of its input.

    A symmetric layer normalises each half of its units, because a parameter for each unit would break the symmetry.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        gain: float,
        style: Style,
        generator: torch.Generator,
        symmetry: Symmetry | None = None,
    ) -> None:
        """Draw an orthogonal weight; the bias is 0."""
        super().__init__()
        if symmetry is None:
            weight = nn.init.orthogonal_(torch.empty(outputs, inputs), gain, generator=generator)
        else:
            weight = symmetry.orthogonal(gain, generator)
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(torch.zeros(outputs))
        norm_width = outputs if symmetry is None else outputs // 2
        self.norm = nn.LayerNorm(norm_width) if style.norm == "layer" else None
        self.activation, self.symmetry = style.activation, symmetry
        self._cast_cache = CastCache()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> DenseLayer:
        """Move the symmetry with the parameters."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        if self.symmetry is not None:
            self.symmetry = self.symmetry.to(self.weight.device)
        return self

    def cast(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return weight and bias in a dtype, without a gradient."""
        return self._cast_cache(self.weight, self.bias, dtype)

    def forward(self, value: Tensor) -> Tensor:
        """Return the output, [n, outputs]."""
        cast = self.cast(value.dtype)
        result = Linear.apply(value, self.weight, self.bias, cast, self.symmetry)  # type: ignore[no-untyped-call]
        return self.activate(result)

    def activate(self, value: Tensor) -> Tensor:
        """Apply norm and activation to the output of the linear map."""
        if self.norm is not None:
            weight, bias = self.norm.weight.to(value.dtype), self.norm.bias.to(value.dtype)
            shape = list(self.norm.normalized_shape)
            parts = value.unflatten(-1, (-1, *shape))
            value = functional.layer_norm(parts, shape, weight, bias, self.norm.eps).flatten(-2)
        return _ACTIVATIONS[self.activation](value)


class Mlp(nn.Module):
    """Hidden layers and a linear head on even and odd inputs. Computes in their dtype; its parameters are float32.

    A network with `mirror`, the mirror of its outputs, is symmetric: the output of a mirrored input is the mirrored
    output. The first half of the units of each hidden layer see the input, the second half its mirror image.
    """

    def __init__(
        self,
        name: str,
        inputs: tuple[int, int],
        hidden: Sequence[int],
        outputs: int,
        *,
        style: Style,
        gain: float,
        feature: int = 0,
        mirror: Mirror | None = None,
    ) -> None:
        """Draw orthogonal weights, the head's with `gain`. `inputs` are the widths of even and odd inputs.

        The head of a policy or a value function computes in float32, because small differences of its outputs matter.
        """
        super().__init__()
        generator = style.generator(name)
        plain = Style("none", "none", style.seed)
        self.widths, self.exact, self.symmetric = [*inputs, feature], gain == HEAD_GAIN, mirror is not None

        def dense(inputs: int, outputs: int, gain: float, style: Style, output_mirror: Mirror | None) -> DenseLayer:
            symmetry = Symmetry(halves(inputs), output_mirror) if output_mirror else None
            return DenseLayer(inputs, outputs, gain, style, generator, symmetry)

        units = hidden[0] // 2 if self.symmetric else hidden[0]  # the other half has the same weights
        self.first = DenseLayer(sum(self.widths), units, HIDDEN_GAIN, style, generator)
        layers = [dense(k, n, HIDDEN_GAIN, style, halves(n) if mirror else None) for k, n in pairwise(hidden)]
        self.rest, self.head = nn.Sequential(*layers), dense(hidden[-1], outputs, gain, plain, mirror)

    def forward(self, even: Tensor, odd: Tensor, feature: Tensor | None = None, mirrored: bool = False) -> Tensor:
        """Return the output [n, outputs] for inputs [n, even] and [n, odd].

        If `mirrored`, the output is [2 n, outputs]: each sample is followed by its mirror image. `feature` [2 n, width]
        has the same order. A symmetric network is never asked for it: the mirrored output is the output's mirror image.
        """
        weight, bias, cast = self.first.weight, self.first.bias, self.first.cast(even.dtype)
        inputs = (even, odd)
        if self.symmetric and feature is not None:  # the units that see the mirror image see the mirrored feature
            image = feature.roll(feature.shape[1] // 2, dims=1)
            feature = torch.stack((feature, image), dim=1).flatten(0, 1)
        both = mirrored or self.symmetric
        hidden = MirroredLinear.apply(weight, bias, feature, inputs, cast, both)  # type: ignore[no-untyped-call]
        hidden = self.first.activate(hidden)
        if self.symmetric:
            hidden = hidden.view(len(even), 2 * hidden.shape[1])
        hidden = torch.as_tensor(self.rest(hidden))
        return torch.as_tensor(self.head(hidden.float() if self.exact else hidden))


class Actor(nn.Module):
    """A diagonal Gaussian: the mean is the output of a network, each action has one learned standard deviation."""

    std_limit: Tensor

    def __init__(self, mean: Mlp, initial_std: Tensor) -> None:
        """Start at `initial_std` [A], which is also the upper limit."""
        super().__init__()
        self.mean = mean
        self.std = nn.Parameter(self._symmetric(initial_std.clone()))
        self.register_buffer("std_limit", self.std.detach().clone())

    @torch.no_grad()
    def clamp_std(self) -> None:
        """Clamp the standard deviations to [1e-6, initial]; those of a symmetric policy stay symmetric."""
        if self.mean.symmetric:
            self.std.copy_(self._symmetric(self.std))
        self.std.clamp_(min=1e-6)
        torch.minimum(self.std, self.std_limit, out=self.std)

    def _symmetric(self, std: Tensor) -> Tensor:
        """Return the mean of each standard deviation and that of the mirrored action, if the mean is symmetric."""
        symmetry = self.mean.head.symmetry
        return std if symmetry is None else 0.5 * (std + std.index_select(0, symmetry.outputs.perm))


def gaussian_log_prob(action: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Return the log density [...] of actions [..., A] under a diagonal Gaussian."""
    return -(0.5 * ((action - mean) / std).square() + std.log() + _LOG_ROOT_TWO_PI).sum(-1)


def gaussian_entropy(std: Tensor) -> Tensor:
    """Return the entropy of a diagonal Gaussian with standard deviations [A], a scalar."""
    return (std.log() + 0.5 + _LOG_ROOT_TWO_PI).sum()


def gaussian_kl(old_mean: Tensor, old_std: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Return KL(old || new) [...] in closed form; means [..., A], standard deviations [A]."""
    scaled = (old_std.square() + (old_mean - mean).square()) / (2.0 * std.square())
    return (std.log() - old_std.log() + scaled - 0.5).sum(-1)
