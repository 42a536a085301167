"""Linear maps with weights rounded to the dtype to compute in, and gradients made by hand.

Autograd's own take longer: gradients come out transposed, in the dtype of the computation, and in parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional


class _Context(Protocol):
    """What autograd hands a function to keep things in."""

    saved_tensors: tuple[Tensor, ...]
    needs_input_grad: tuple[bool, ...]
    mirrored: bool

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for the backward pass."""


class Rounded:
    """A weight and a bias in the dtype to compute in, rounded anew only when they have changed."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._key: tuple[object, ...] = ()
        self._copies: tuple[Tensor, Tensor] = (torch.empty(0), torch.empty(0))

    def __call__(self, weight: nn.Parameter, bias: nn.Parameter, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return both in `dtype`, without a gradient."""
        if torch.compiler.is_compiling():  # a compiled graph rounds every time, in passing
            return weight.detach().to(dtype), bias.detach().to(dtype)
        # a tensor counts the changes made to it in place, as optimisers and checkpoints make them
        key = (dtype, weight.data_ptr(), weight._version, bias.data_ptr(), bias._version)
        if key != self._key:
            self._key, self._copies = key, (weight.detach().to(dtype), bias.detach().to(dtype))
        return self._copies


class Linear(torch.autograd.Function):
    """x W^T + b, [n, inputs] to [n, outputs]."""

    @staticmethod
    def forward(ctx: _Context, value: Tensor, weight: Tensor, bias: Tensor, rounded: tuple[Tensor, Tensor]) -> Tensor:
        """Compute with the rounded weights; weight and bias themselves only receive gradients."""
        ctx.save_for_backward(value, rounded[0])
        return functional.linear(value, *rounded)

    @staticmethod
    def backward(ctx: _Context, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of value, weight and bias."""
        value, weight = ctx.saved_tensors
        below = gradient @ weight if ctx.needs_input_grad[0] else None
        return below, (gradient.t() @ value).float(), gradient.sum(0, dtype=torch.float32), None


class MirroredLinear(torch.autograd.Function):
    """The linear map of even, odd and, if any, feature inputs side by side; of their mirror images too if wanted.

    With E of the even inputs and O of the odd ones it is E + O, and E - O for the mirror image.
    """

    @staticmethod
    def forward(
        ctx: _Context,
        weight: Tensor,
        bias: Tensor,
        feature: Tensor | None,
        inputs: tuple[Tensor, Tensor],
        rounded: tuple[Tensor, Tensor],
        mirrored: bool,
    ) -> Tensor:
        """Return [n, outputs], or [2 n, outputs] with each row followed by that of its mirror image."""
        even, odd = inputs
        even_weight, odd_weight, feature_weight = _columns(rounded[0], even.shape[1], odd.shape[1])
        unchanged, changed = functional.linear(even, even_weight, rounded[1]), functional.linear(odd, odd_weight)
        if torch.compiler.is_compiling():
            result = _out_of_place(unchanged, changed, mirrored)
            result = result if feature is None else torch.addmm(result, feature, feature_weight.t())
        else:
            result = _in_place(unchanged, changed, mirrored)
            result = result if feature is None else result.addmm_(feature, feature_weight.t())
        ctx.save_for_backward(even, odd, feature, feature_weight)
        ctx.mirrored = mirrored
        return result

    @staticmethod
    def backward(ctx: _Context, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of weight, bias and feature; observations need none."""
        even, odd, feature, feature_weight = ctx.saved_tensors
        of_even = of_odd = gradient
        if ctx.mirrored:
            of_even, of_odd = gradient[0::2] + gradient[1::2], gradient[0::2] - gradient[1::2]
        width = even.shape[1] + odd.shape[1] + feature_weight.shape[1]
        whole = torch.empty(gradient.shape[1], width, device=gradient.device)
        even_part, odd_part, feature_part = _columns(whole, even.shape[1], odd.shape[1])
        even_part.copy_(of_even.t() @ even)
        odd_part.copy_(of_odd.t() @ odd)
        below = None
        if feature is not None:
            feature_part.copy_(gradient.t() @ feature)
            below = gradient @ feature_weight if ctx.needs_input_grad[2] else None
        return whole, of_even.sum(0, dtype=torch.float32), below, None, None, None


def _in_place(unchanged: Tensor, changed: Tensor, mirrored: bool) -> Tensor:
    """Return the sums, and after each the difference if `mirrored`; `unchanged` may be overwritten."""
    if not mirrored:
        return unchanged.add_(changed)
    result = unchanged.new_empty(2 * len(unchanged), unchanged.shape[1])
    torch.add(unchanged, changed, out=result[0::2])
    torch.sub(unchanged, changed, out=result[1::2])
    return result


def _out_of_place(unchanged: Tensor, changed: Tensor, mirrored: bool) -> Tensor:
    """Return the same for a compiled graph, which chooses by itself where to write.

    torch 2.11 silently loses the gradient of an autograd.Function whose traced forward changes its result in place.
    """
    if not mirrored:
        return unchanged + changed
    pairs = torch.stack((unchanged + changed, unchanged - changed), dim=1)
    return pairs.flatten(0, 1).clone()  # not a view: activations overwrite what an autograd.Function returns


def _columns(weight: Tensor, even: int, odd: int) -> Sequence[Tensor]:
    return weight.tensor_split((even, even + odd), dim=1)
