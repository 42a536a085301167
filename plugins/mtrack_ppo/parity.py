"""Even and odd coordinates of an observation: under the mirror the former stay, the latter change sign."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrack.mirror import Mirror


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
        self.even, self.odd = len(still) + len(pairs), len(flipped) + len(pairs)
        half = 0.5**0.5  # keeps lengths: the change of coordinates is a rotation
        shares, partners = torch.full((len(pairs),), half), sign[pairs] * half
        zeros = torch.zeros(width)
        self._column = torch.cat((still, pairs, flipped, pairs)).to(device)
        self._partner = torch.cat((still, perm[pairs], flipped, perm[pairs])).to(device)
        self._share = torch.cat((torch.ones(len(still)), shares, torch.ones(len(flipped)), shares)).to(device)
        self._partner_share = torch.cat((zeros[still], partners, zeros[flipped], -partners)).to(device)

    def __call__(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Return the even [n, even] and the odd [n, odd] coordinates of values [n, W]."""
        rotated = value.index_select(-1, self._column).mul_(self._share)
        rotated.addcmul_(value.index_select(-1, self._partner), self._partner_share)
        return rotated[:, : self.even], rotated[:, self.even :]
