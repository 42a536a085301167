"""Even and odd coordinates of an observation: under the mirror the former stay, the latter change sign."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrack import Mirror


class Parity:
    """A rotation of the columns of a vector x into even and odd ones, (x + M x) / 2 and (x - M x) / 2 up to scale.

    A linear map of x and of its mirror image M x is then W x = E + O and W M x = E - O, with E of the even columns only
    and O of the odd ones: both images for the price of one. Widths are `even` and `odd`.
    """

    def __init__(self, width: int, mirror: Mirror | None, device: str) -> None:
        """Prepare the columns; without a mirror all are even."""
        perm = torch.arange(width) if mirror is None else mirror.perm.cpu()
        sign = torch.ones(width) if mirror is None else mirror.sign.cpu()
        column = torch.arange(width)
        alone = perm == column
        still, flipped, pairs = (
            mask.nonzero().squeeze(-1) for mask in (alone & (sign > 0), alone & (sign < 0), column < perm)
        )
        self._still, self._flipped = len(still), len(flipped)
        self.even, self.odd = len(still) + len(pairs), len(flipped) + len(pairs)
        half = torch.full((len(pairs),), 0.5**0.5)  # keeps lengths: the change of coordinates is a rotation
        self._column = torch.cat((still, pairs, flipped, perm[pairs])).to(device)
        ones = (torch.ones(len(still)), torch.ones(len(flipped)))
        self._share = torch.cat((ones[0], half, ones[1], sign[pairs] * half)).to(device)

    def __call__(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Return the even [n, even] and the odd [n, odd] coordinates of values [n, W]."""
        even, odd = value.new_empty(len(value), self.even), value.new_empty(len(value), self.odd)
        self.write(value, even, odd)
        return even, odd

    def write(self, value: Tensor, even: Tensor, odd: Tensor) -> None:
        """Put the coordinates of values [n, W] into tensors [n, even] and [n, odd], in their dtype."""
        shares = value.index_select(-1, self._column).mul_(self._share)
        still, of_column = shares[:, : self.even].tensor_split((self._still,), dim=1)
        flipped, of_partner = shares[:, self.even :].tensor_split((self._flipped,), dim=1)
        even[:, : self._still].copy_(still)
        odd[:, : self._flipped].copy_(flipped)
        torch.add(of_column, of_partner, out=even[:, self._still :])
        torch.sub(of_column, of_partner, out=odd[:, self._flipped :])
