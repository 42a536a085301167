"""Perceptrons that look at observations and at their mirror images in one pass, and the Gaussian actor."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Literal

import attrs
import torch
from torch import Tensor, nn
from torch.nn import functional

from mtrack_ppo.linear import Linear, MirroredLinear, Rounded

Activation = Literal["elu", "relu", "silu", "mish", "gelu", "tanh"]
Norm = Literal["none", "layer"]

# ELU and ReLU overwrite their input, which nothing else needs: their derivatives follow from their results
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
FEATURE_GAIN = 1.0  # a feature feeds further layers: at a head's gain these would not see it at first


@attrs.frozen
class Style:
    """What all networks of an agent share."""

    activation: Activation | Literal["none"]
    norm: Norm
    seed: int

    def generator(self, name: str) -> torch.Generator:
        """Return the generator that initialises one network: no network's start depends on the size of another."""
        return torch.Generator().manual_seed(zlib.crc32(f"{self.seed}/{name}".encode()))


class Layer(nn.Module):
    """A linear map, then LayerNorm if wanted, then the activation if there is one; in the dtype of its input."""

    def __init__(self, inputs: int, outputs: int, gain: float, style: Style, generator: torch.Generator) -> None:
        """Draw an orthogonal weight; the bias is 0."""
        super().__init__()
        self.weight = nn.Parameter(nn.init.orthogonal_(torch.empty(outputs, inputs), gain, generator=generator))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.norm = nn.LayerNorm(outputs) if style.norm == "layer" else None
        self.activation = style.activation
        self._rounded = Rounded()

    def rounded(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return weight and bias in a dtype, without a gradient."""
        return self._rounded(self.weight, self.bias, dtype)

    def forward(self, value: Tensor) -> Tensor:
        """Return the output, [n, outputs]."""
        rounded = self.rounded(value.dtype)
        return self.activate(Linear.apply(value, self.weight, self.bias, rounded))  # type: ignore[no-untyped-call]

    def activate(self, value: Tensor) -> Tensor:
        """Return what norm and activation make of the linear map's output."""
        if self.norm is not None:
            weight, bias = self.norm.weight.to(value.dtype), self.norm.bias.to(value.dtype)
            value = functional.layer_norm(value, list(self.norm.normalized_shape), weight, bias, self.norm.eps)
        return _ACTIVATIONS[self.activation](value)


class Mlp(nn.Module):
    """Hidden layers and a linear head on even and odd inputs. It computes in their dtype; weights stay float32."""

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
    ) -> None:
        """Draw orthogonal weights, the head's with `gain`; widths of even, odd and, if any, feature inputs.

        A policy's or value's head computes in float32: what matters there are small differences between its outputs.
        """
        super().__init__()
        generator = style.generator(name)
        plain = Style("none", "none", style.seed)
        self.widths, self.exact = [*inputs, feature], gain == HEAD_GAIN
        self.first = Layer(sum(self.widths), hidden[0], HIDDEN_GAIN, style, generator)
        self.rest = nn.Sequential(*(Layer(k, n, HIDDEN_GAIN, style, generator) for k, n in pairwise(hidden)))
        self.head = Layer(hidden[-1], outputs, gain, plain, generator)

    def forward(self, even: Tensor, odd: Tensor, feature: Tensor | None = None, mirrored: bool = False) -> Tensor:
        """Return the output for inputs [n, even], [n, odd] and, if `mirrored`, for their mirror images.

        Then outputs are [2 n, outputs], each followed by that of its mirror image, and `feature` is [2 n, .] likewise.
        """
        weight, bias, rounded = self.first.weight, self.first.bias, self.first.rounded(even.dtype)
        inputs = (even, odd)
        hidden = MirroredLinear.apply(weight, bias, feature, inputs, rounded, mirrored)  # type: ignore[no-untyped-call]
        hidden = torch.as_tensor(self.rest(self.first.activate(hidden)))
        return torch.as_tensor(self.head(hidden.float() if self.exact else hidden))

    def products(self, rows: int) -> list[tuple[int, int, int]]:
        """Return (m, k, n) of the matrix products [m, k] x [k, n] of one plain pass over rows, forward and backward.

        Per layer the output, the gradient of the weight and, where something below learns, that of the input: the
        feature does, the observations do not.
        """
        found = []
        for layer in (self.first, *self.rest, self.head):
            n, k = (int(size) for size in layer.weight.shape)
            learning = self.widths[2] if layer is self.first else k
            found += [(rows, k, n), (n, rows, k)]
            found += [(rows, n, learning)] if learning else []
        return found


class Actor(nn.Module):
    """A diagonal normal distribution: mean from a network, one free standard deviation an action."""

    std_limit: Tensor

    def __init__(self, mean: Mlp, initial_std: Tensor) -> None:
        """Start at, and never exceed, `initial_std` [A]."""
        super().__init__()
        self.mean = mean
        self.std = nn.Parameter(initial_std.clone())
        self.register_buffer("std_limit", initial_std.clone())

    @torch.no_grad()
    def clamp_std(self) -> None:
        """Bring the standard deviations back into [1e-6, initial]."""
        self.std.clamp_(min=1e-6)
        torch.minimum(self.std, self.std_limit, out=self.std)
