"""Linear maps of an observation and of its mirror image in one pass, with hand-written gradients.

A plain `nn.Linear` gives the same function. These maps exist for speed, because matrix products take most of an update:

- `MirroredLinear` computes the first layer of an observation AND of its mirror image with the products of one of them.
- Autograd returns the gradient of a bfloat16 weight transposed, in bfloat16 and summed in bfloat16. The hand-written
  gradients have the layout and the dtype (float32) of the parameters, so Adam needs no further copies.
- `CastCache` casts each weight to bfloat16 once per optimiser step, not once per pass.

`mtrack bench` compares an update with the time of the bare matrix products.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from mtrack import Mirror
from mtrack_ppo.symmetry import Symmetry


class Parity:
    """An orthogonal change of coordinates to even columns, which the mirror keeps, and odd ones, which it negates.

    For a vector x with mirror image M x these are (x + M x) / 2 and (x - M x) / 2, up to scale. With E the product of
    a weight with the even columns and O its product with the odd ones, the linear map of x is E + O and that of M x is
    E - O. `even` and `odd` are the numbers of columns.
    """

    def __init__(self, width: int, mirror: Mirror | None, device: str) -> None:
        """Prepare the columns; without a mirror all are even."""
        perm = torch.arange(width) if mirror is None else mirror.perm.cpu()
        sign = torch.ones(width) if mirror is None else mirror.sign.cpu()
        column = torch.arange(width)
        alone = perm == column
        kept, negated, pairs = (
            mask.nonzero().squeeze(-1) for mask in (alone & (sign > 0), alone & (sign < 0), column < perm)
        )
        self._kept, self._negated = len(kept), len(negated)
        self.even, self.odd = len(kept) + len(pairs), len(negated) + len(pairs)
        half = torch.full((len(pairs),), 0.5**0.5)  # this scale makes the change of coordinates a rotation
        self._column = torch.cat((kept, pairs, negated, perm[pairs])).to(device)
        ones = (torch.ones(len(kept)), torch.ones(len(negated)))
        self._share = torch.cat((ones[0], half, ones[1], sign[pairs] * half)).to(device)

    def __call__(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Return the even [n, even] and the odd [n, odd] coordinates of values [n, W]."""
        even, odd = value.new_empty(len(value), self.even), value.new_empty(len(value), self.odd)
        self.write(value, even, odd)
        return even, odd

    def write(self, value: Tensor, even: Tensor, odd: Tensor) -> None:
        """Write the coordinates of values [n, W] into tensors [n, even] and [n, odd], in their dtype."""
        shares = value.index_select(-1, self._column).mul_(self._share)
        kept, of_column = shares[:, : self.even].tensor_split((self._kept,), dim=1)
        negated, of_partner = shares[:, self.even :].tensor_split((self._negated,), dim=1)
        even[:, : self._kept].copy_(kept)
        odd[:, : self._negated].copy_(negated)
        torch.add(of_column, of_partner, out=even[:, self._kept :])
        torch.sub(of_column, of_partner, out=odd[:, self._negated :])


class CastCache:
    """Copies of a weight and a bias in the dtype of the computation, renewed only after the originals change."""

    def __init__(self) -> None:
        """Start empty."""
        self._key: tuple[object, ...] = ()
        self._copies: tuple[Tensor, Tensor] = (torch.empty(0), torch.empty(0))

    def __call__(self, weight: nn.Parameter, bias: nn.Parameter, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return both in `dtype`, without a gradient."""
        if torch.compiler.is_compiling():  # a compiled graph fuses the cast into other kernels
            return weight.detach().to(dtype), bias.detach().to(dtype)
        # `_version` counts changes in place, which is how optimisers and checkpoints write parameters
        key = (dtype, weight.data_ptr(), weight._version, bias.data_ptr(), bias._version)
        if key != self._key:
            self._key, self._copies = key, (weight.detach().to(dtype), bias.detach().to(dtype))
        return self._copies


class _Context(Protocol):
    """The object in which autograd keeps values between forward and backward."""

    saved_tensors: tuple[Tensor, ...]
    needs_input_grad: tuple[bool, ...]
    mirrored: bool
    symmetry: Symmetry | None

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for the backward pass."""


class Linear(torch.autograd.Function):
    """x W^T + b, [n, inputs] to [n, outputs]. With a symmetry, the gradients of W and b are symmetric."""

    @staticmethod
    def forward(
        ctx: _Context,
        value: Tensor,
        weight: Tensor,
        bias: Tensor,
        cast: tuple[Tensor, Tensor],
        symmetry: Symmetry | None,
    ) -> Tensor:
        """Compute with the cast weight and bias; `weight` and `bias` are passed only to receive gradients."""
        ctx.save_for_backward(value, cast[0])
        ctx.symmetry = symmetry
        return functional.linear(value, *cast)

    @staticmethod
    def backward(ctx: _Context, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of value, weight and bias."""
        value, weight = ctx.saved_tensors
        of_value = gradient @ weight if ctx.needs_input_grad[0] else None
        of_weight, of_bias = (gradient.t() @ value).float(), gradient.sum(0, dtype=torch.float32)
        if ctx.symmetry is not None:
            of_weight, of_bias = ctx.symmetry.of_weight(of_weight), ctx.symmetry.of_bias(of_bias)
        return of_value, of_weight, of_bias, None, None


class MirroredLinear(torch.autograd.Function):
    """The linear map of even, odd and optional feature inputs side by side, and of their mirror images if requested.

    `Parity` explains the even and odd inputs. Features of the mirror images are inputs of their own.
    """

    @staticmethod
    def forward(
        ctx: _Context,
        weight: Tensor,
        bias: Tensor,
        feature: Tensor | None,
        inputs: tuple[Tensor, Tensor],
        cast: tuple[Tensor, Tensor],
        mirrored: bool,
    ) -> Tensor:
        """Return [n, outputs], or, if `mirrored`, [2 n, outputs]: each sample is followed by its mirror image."""
        even, odd = inputs
        even_weight, odd_weight, feature_weight = _columns(cast[0], even.shape[1], odd.shape[1])
        of_even, of_odd = functional.linear(even, even_weight, cast[1]), functional.linear(odd, odd_weight)
        if torch.compiler.is_compiling():
            result = _out_of_place(of_even, of_odd, mirrored)
            result = result if feature is None else torch.addmm(result, feature, feature_weight.t())
        else:
            result = _in_place(of_even, of_odd, mirrored)
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
        of_weight = torch.empty(gradient.shape[1], width, device=gradient.device)
        even_part, odd_part, feature_part = _columns(of_weight, even.shape[1], odd.shape[1])
        even_part.copy_(of_even.t() @ even)
        odd_part.copy_(of_odd.t() @ odd)
        of_feature = None
        if feature is not None:
            feature_part.copy_(gradient.t() @ feature)
            of_feature = gradient @ feature_weight if ctx.needs_input_grad[2] else None
        return of_weight, of_even.sum(0, dtype=torch.float32), of_feature, None, None, None


def _in_place(of_even: Tensor, of_odd: Tensor, mirrored: bool) -> Tensor:
    """Return the sums, each followed by the difference if `mirrored`; may overwrite `of_even`."""
    if not mirrored:
        return of_even.add_(of_odd)
    result = of_even.new_empty(2 * len(of_even), of_even.shape[1])
    torch.add(of_even, of_odd, out=result[0::2])
    torch.sub(of_even, of_odd, out=result[1::2])
    return result


def _out_of_place(of_even: Tensor, of_odd: Tensor, mirrored: bool) -> Tensor:
    """Return the same for a compiled graph, which decides itself where to write.

    torch 2.11 silently loses the gradient of an autograd.Function whose traced forward changes its result in place.
    """
    if not mirrored:
        return of_even + of_odd
    pairs = torch.stack((of_even + of_odd, of_even - of_odd), dim=1)
    return pairs.flatten(0, 1).clone()  # must not be a view: activations overwrite the result of an autograd.Function


def _columns(weight: Tensor, even: int, odd: int) -> Sequence[Tensor]:
    return weight.tensor_split((even, even + odd), dim=1)
