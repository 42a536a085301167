"""Rotations in torch, batched over leading dimensions.

Quaternions are unit quaternions in the order w, x, y, z. Rotation matrices map body axes to world axes. Angles are in
rad.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor


def quat_conjugate(quat_wxyz: Tensor) -> Tensor:
    """Return the conjugate, which is the inverse of a unit quaternion, [..., 4]."""
    return torch.cat((quat_wxyz[..., :1], -quat_wxyz[..., 1:]), dim=-1)


def quat_multiply(a_wxyz: Tensor, b_wxyz: Tensor) -> Tensor:
    """Return the Hamilton product a b, the rotation by b followed by the rotation by a, [..., 4]."""
    aw, av = a_wxyz[..., :1], a_wxyz[..., 1:]
    bw, bv = b_wxyz[..., :1], b_wxyz[..., 1:]
    w = aw * bw - (av * bv).sum(-1, keepdim=True)
    return torch.cat((w, aw * bv + bw * av + _cross(av, bv)), dim=-1)


def quat_to_matrix(quat_wxyz: Tensor) -> Tensor:
    """Return the rotation matrices of quaternions, [..., 4] to [..., 3, 3]."""
    # each entry is a sum of products of two components: an outer product makes them, a matrix product adds them up
    products = (quat_wxyz.unsqueeze(-1) * quat_wxyz.unsqueeze(-2)).flatten(-2)
    return (products @ _entries(products.device, products.dtype)).view(*quat_wxyz.shape[:-1], 3, 3)


@cache
def _entries(device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return the weights of the products w w, w x, ..., z z in the nine matrix entries, [16, 9].

    The result is cached for each device, because the host waits for a copy to a GPU. It is made outside of inference
    mode, because autograd rejects inference tensors.
    """
    with torch.inference_mode(False):
        return _matrix_entries().to(device, dtype)


def _matrix_entries() -> Tensor:
    entries = torch.zeros(4, 4, 3, 3)
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        entries[0, 0, i, i] = entries[1 + i, 1 + i, i, i] = 1.0
        entries[1 + j, 1 + j, i, i] = entries[1 + k, 1 + k, i, i] = -1.0
        entries[1 + i, 1 + j, i, j] = entries[1 + i, 1 + j, j, i] = 2.0
        entries[0, 1 + k, i, j], entries[0, 1 + k, j, i] = -2.0, 2.0
    return entries.view(16, 9)


def transform(matrix: Tensor, columns: Tensor) -> Tensor:
    """Return the products of matrices [..., 3, 3] with columns [..., 3, M]; leading dimensions broadcast.

    Three multiply-adds are several times faster than many products of small matrices.
    """
    (a, b, c), (x, y, z) = matrix.unsqueeze(-1).unbind(-2), columns.unsqueeze(-3).unbind(-2)
    return (a * x).addcmul_(b, y).addcmul_(c, z)


def _cross(a: Tensor, b: Tensor) -> Tensor:
    """Return the cross product, [..., 3]; unlike in torch, the numbers of leading dimensions may differ."""
    a, b = torch.broadcast_tensors(a, b)
    product: Tensor = torch.linalg.cross(a, b)
    return product


def quat_rotate(quat_wxyz: Tensor, vector: Tensor) -> Tensor:
    """Rotate vectors [..., 3] from the body frame of the quaternion into the world frame."""
    w, v = quat_wxyz[..., :1], quat_wxyz[..., 1:]
    once = 2.0 * _cross(v, vector)
    twice = _cross(v, once)
    return vector + w * once + twice


def quat_rotate_inverse(quat_wxyz: Tensor, vector: Tensor) -> Tensor:
    """Rotate vectors [..., 3] from the world frame into the body frame of the quaternion."""
    return quat_rotate(quat_conjugate(quat_wxyz), vector)


def quat_from_rotation_vector(rotation: Tensor) -> Tensor:
    """Return the quaternions of rotation vectors (axis times angle), [..., 3] to [..., 4]."""
    angle = rotation.norm(dim=-1, keepdim=True)
    # sinc keeps the value and its gradient finite at angle 0
    return torch.cat((torch.cos(angle / 2), 0.5 * torch.sinc(angle / (2 * torch.pi)) * rotation), dim=-1)


def quat_to_rotation_vector(quat_wxyz: Tensor) -> Tensor:
    """Return the rotation vectors (axis times angle in [0, pi]) of quaternions, [..., 4] to [..., 3]."""
    w, v = quat_wxyz[..., :1], quat_wxyz[..., 1:]
    v = torch.where(w < 0, -v, v)
    norm = v.norm(dim=-1, keepdim=True)
    angle = 2.0 * torch.atan2(norm, w.abs())
    return torch.where(norm > 1e-9, v * (angle / norm.clamp_min(1e-9)), 2.0 * v)


def quat_slerp(a_wxyz: Tensor, b_wxyz: Tensor, share: Tensor) -> Tensor:
    """Interpolate along the shorter arc, [..., 4]; `share` [..., 1] is 0 at a and 1 at b."""
    relative = quat_multiply(quat_conjugate(a_wxyz), b_wxyz)
    return quat_multiply(a_wxyz, quat_from_rotation_vector(share * quat_to_rotation_vector(relative)))


def quat_yaw(quat_wxyz: Tensor) -> Tensor:
    """Return the heading, the rotation about the vertical axis, as a quaternion, [..., 4]."""
    zero = torch.zeros_like(quat_wxyz[..., :1])
    heading = torch.cat((quat_wxyz[..., :1], zero, zero, quat_wxyz[..., 3:]), dim=-1)
    return torch.nn.functional.normalize(heading, dim=-1, eps=1e-9)


def rotation_angle(a: Tensor, b: Tensor) -> Tensor:
    """Return the geodesic angle in [0, pi] between rotation matrices, [..., 3, 3] to [...]."""
    return angle_of_chord((a - b).flatten(-2).norm(dim=-1))


def angle_of_chord(chord: Tensor) -> Tensor:
    """Return the angle between rotations A and B from the chord ||A - B||_F = 2 sqrt(2) sin(angle / 2).

    It is exact at small angles, unlike the arccosine of the trace.
    """
    return 2.0 * torch.asin((chord * (0.5 / 2**0.5)).clamp_max(1.0))


def rot6d(matrix: Tensor) -> Tensor:
    """Return the first two columns of rotation matrices, one after the other, [..., 3, 3] to [..., 6].

    Zhou et al., On the Continuity of Rotation Representations in Neural Networks, CVPR 2019.
    """
    return matrix[..., :2].mT.flatten(-2)
