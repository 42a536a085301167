"""Weights that commute with the mirror, so that a network's output for a mirrored input is the mirrored output.

Su et al., Leveraging Symmetry in RL-based Legged Locomotion Control, 2024, compare such policies with mirror losses.
"""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from mtrack import Mirror


@attrs.frozen
class Symmetry:
    """The mirrors of the inputs and the outputs of a linear layer.

    A layer is symmetric if mirroring its input mirrors its output: W M_in = M_out W. A weight that starts symmetric
    stays so, bit by bit, if every gradient is made symmetric, because Adam treats all entries alike.
    """

    inputs: Mirror
    outputs: Mirror

    def to(self, device: torch.device | str) -> Symmetry:
        """Return this symmetry on a device."""
        return Symmetry(self.inputs.to(device), self.outputs.to(device))

    def of_weight(self, weight: Tensor) -> Tensor:
        """Return the symmetric part (W + M_out W M_in) / 2 of a weight [outputs, inputs]."""
        image = self.inputs(weight).index_select(0, self.outputs.perm)
        return 0.5 * (weight + image * self.outputs.sign.unsqueeze(1))

    def of_bias(self, bias: Tensor) -> Tensor:
        """Return the symmetric part (b + M_out b) / 2 of a bias [outputs]."""
        return 0.5 * (bias + self.outputs(bias))

    def orthogonal(self, gain: float, generator: torch.Generator) -> Tensor:
        """Return a random symmetric weight [outputs, inputs] whose rows or columns are orthogonal, of length `gain`.

        It is the closest orthogonal matrix to a symmetric one, which is symmetric, too.
        """
        draw = torch.randn(self.outputs.width, self.inputs.width, generator=generator)
        left, _, right = torch.linalg.svd(self.of_weight(draw), full_matrices=False)
        return gain * self.of_weight(left @ right)  # rounding errors are not symmetric


def halves(width: int) -> Mirror:
    """Return the mirror of hidden units: each unit of the first half changes places with one of the second half."""
    return Mirror.swap((1, 0), Mirror.scalar(width // 2))
