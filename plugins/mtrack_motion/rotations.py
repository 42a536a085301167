"""Convert rotation matrices to quaternions."""

from __future__ import annotations

import torch
from torch import Tensor


def quat_from_matrix(matrix: Tensor) -> Tensor:
    """Return the quaternions of rotation matrices, [..., 3, 3] to [..., 4] (w, x, y, z), w not negative."""
    m = matrix
    diagonal = m.diagonal(dim1=-2, dim2=-1)
    trace = diagonal.sum(-1, keepdim=True)
    # 4 q q^T, of which the row with the largest diagonal entry is taken: no entry of it is a small difference
    squares = torch.cat((1.0 + trace, 1.0 + 2.0 * diagonal - trace), dim=-1)
    wx, wy, wz = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    xy, xz, yz = m[..., 1, 0] + m[..., 0, 1], m[..., 0, 2] + m[..., 2, 0], m[..., 2, 1] + m[..., 1, 2]
    ww, xx, yy, zz = squares.unbind(-1)
    rows = torch.stack((ww, wx, wy, wz, wx, xx, xy, xz, wy, xy, yy, yz, wz, xz, yz, zz), dim=-1).unflatten(-1, (4, 4))
    best = squares.argmax(-1)[..., None, None].expand(*squares.shape[:-1], 1, 4)
    quat = torch.nn.functional.normalize(rows.gather(-2, best).squeeze(-2), dim=-1)
    return torch.where(quat[..., :1] < 0.0, -quat, quat)
