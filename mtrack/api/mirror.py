"""Left-right mirrors: how a vector changes when the world is reflected in the x-z plane."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

_VECTOR = (1.0, -1.0, 1.0)  # positions, linear velocities, forces, gravity
_PSEUDOVECTOR = (-1.0, 1.0, -1.0)  # angular velocities, torques
_ROT6D = (1.0, -1.0, 1.0, -1.0, 1.0, -1.0)  # two columns of M R M, M = diag(1, -1, 1)


@attrs.frozen(eq=False)
class Mirror:
    """A permutation with signs: mirrored = value[..., perm] * sign. Applied twice, it is the identity."""

    perm: Tensor
    """int64 [W], source column of each mirrored column."""
    sign: Tensor
    """float32 [W], +1 or -1 for each mirrored column."""

    def __call__(self, value: Tensor) -> Tensor:
        """Return the mirror image of a value, [..., W]."""
        return value.index_select(-1, self.perm) * self.sign

    def to(self, device: torch.device | str) -> Mirror:
        """Return this mirror on a device."""
        return Mirror(self.perm.to(device), self.sign.to(device))

    @property
    def width(self) -> int:
        """Number of columns, W."""
        return len(self.perm)

    @staticmethod
    def of(sign: Sequence[float]) -> Mirror:
        """Return the mirror that multiplies columns by signs, +1 or -1, and does not permute them."""
        return Mirror(torch.arange(len(sign)), torch.tensor(sign, dtype=torch.float32))

    @staticmethod
    def scalar(width: int = 1) -> Mirror:
        """Return the mirror of `width` numbers without direction, which do not change."""
        return Mirror.of((1.0,) * width)

    @staticmethod
    def vector() -> Mirror:
        """Return the mirror of a polar vector (position, linear velocity, force): y changes sign."""
        return Mirror.of(_VECTOR)

    @staticmethod
    def pseudovector() -> Mirror:
        """Return the mirror of an axial vector (angular velocity, torque): x and z change sign."""
        return Mirror.of(_PSEUDOVECTOR)

    @staticmethod
    def rot6d() -> Mirror:
        """Return the mirror of a rotation that is given by its first two columns (`mtrack.math.rot6d`)."""
        return Mirror.of(_ROT6D)

    @staticmethod
    def swap(partner: Sequence[int], each: Mirror | None = None) -> Mirror:
        """Return the mirror of blocks, e.g. of legs: block i becomes block partner[i], mirrored by `each`."""
        each = each or Mirror.scalar()
        offsets = torch.as_tensor(partner, dtype=torch.int64)[:, None] * each.width
        return Mirror((offsets + each.perm).flatten(), each.sign.repeat(len(partner)))

    @staticmethod
    def cat(parts: Sequence[Mirror]) -> Mirror:
        """Return the mirror of concatenated values."""
        perms, start = [], 0
        for part in parts:
            perms.append(part.perm + start)
            start += part.width
        empty = torch.zeros(0)
        return Mirror(torch.cat([empty.long(), *perms]), torch.cat([empty, *(part.sign for part in parts)]))

    def repeat(self, count: int) -> Mirror:
        """Return the mirror of `count` such values side by side, e.g. future frames or a history."""
        return Mirror.cat([self] * count)
