"""Rotations and vectors in torch. Quaternions are w, x, y, z and unit; matrices map body to world axes."""

from __future__ import annotations

import torch
from torch import Tensor


def quat_conjugate(quat_wxyz: Tensor) -> Tensor:
    """Return the inverse of unit quaternions, [..., 4]."""
    return torch.cat((quat_wxyz[..., :1], -quat_wxyz[..., 1:]), dim=-1)


def quat_multiply(a_wxyz: Tensor, b_wxyz: Tensor) -> Tensor:
    """Return the Hamilton product a b (first b, then a, as rotations), [..., 4]."""
    aw, av = a_wxyz[..., :1], a_wxyz[..., 1:]
    bw, bv = b_wxyz[..., :1], b_wxyz[..., 1:]
    w = aw * bw - (av * bv).sum(-1, keepdim=True)
    return torch.cat((w, aw * bv + bw * av + torch.linalg.cross(av, bv)), dim=-1)


def quat_to_matrix(quat_wxyz: Tensor) -> Tensor:
    """Return the rotation matrices of unit quaternions, [..., 3, 3]."""
    w, v = quat_wxyz[..., :1, None], quat_wxyz[..., 1:]
    outer = v.unsqueeze(-1) * v.unsqueeze(-2)
    diagonal = (w * w - (v * v).sum(-1)[..., None, None]).expand(*v.shape[:-1], 1, 1)
    return 2.0 * (outer + w * skew(v)) + diagonal * torch.eye(3, dtype=v.dtype, device=v.device)


def skew(vector: Tensor) -> Tensor:
    """Return the cross-product matrices of vectors, [..., 3] to [..., 3, 3]."""
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack((zero, -z, y, z, zero, -x, -y, x, zero), dim=-1).reshape(*x.shape, 3, 3)


def quat_rotate(quat_wxyz: Tensor, vector: Tensor) -> Tensor:
    """Rotate vectors [..., 3] from the quaternion's frame to the outer one."""
    w, v = quat_wxyz[..., :1], quat_wxyz[..., 1:]
    once: Tensor = 2.0 * torch.linalg.cross(v, vector)
    twice: Tensor = torch.linalg.cross(v, once)
    return vector + w * once + twice


def quat_rotate_inverse(quat_wxyz: Tensor, vector: Tensor) -> Tensor:
    """Rotate vectors [..., 3] from the outer frame into the quaternion's."""
    return quat_rotate(quat_conjugate(quat_wxyz), vector)


def quat_from_rotation_vector(rotation: Tensor) -> Tensor:
    """Return the quaternions of rotation vectors (axis times angle, rad), [..., 3] to [..., 4]."""
    angle = rotation.norm(dim=-1, keepdim=True)
    # sinc keeps the value and its gradient finite at angle 0
    return torch.cat((torch.cos(angle / 2), 0.5 * torch.sinc(angle / (2 * torch.pi)) * rotation), dim=-1)


def quat_to_rotation_vector(quat_wxyz: Tensor) -> Tensor:
    """Return the rotation vectors (axis times angle in [0, pi], rad) of unit quaternions, [..., 4] to [..., 3]."""
    w, v = quat_wxyz[..., :1], quat_wxyz[..., 1:]
    v = torch.where(w < 0, -v, v)
    norm = v.norm(dim=-1, keepdim=True)
    angle = 2.0 * torch.atan2(norm, w.abs())
    return torch.where(norm > 1e-9, v * (angle / norm.clamp_min(1e-9)), 2.0 * v)


def quat_slerp(a_wxyz: Tensor, b_wxyz: Tensor, share: Tensor) -> Tensor:
    """Interpolate on the shorter arc; `share` [..., 1] is 0 at a and 1 at b."""
    relative = quat_multiply(quat_conjugate(a_wxyz), b_wxyz)
    return quat_multiply(a_wxyz, quat_from_rotation_vector(share * quat_to_rotation_vector(relative)))


def quat_yaw(quat_wxyz: Tensor) -> Tensor:
    """Return the heading (rotation about the vertical) of quaternions as quaternions, [..., 4]."""
    zero = torch.zeros_like(quat_wxyz[..., :1])
    heading = torch.cat((quat_wxyz[..., :1], zero, zero, quat_wxyz[..., 3:]), dim=-1)
    return torch.nn.functional.normalize(heading, dim=-1, eps=1e-9)


def rotation_angle(a: Tensor, b: Tensor) -> Tensor:
    """Return the geodesic angle in [0, pi] between rotation matrices [..., 3, 3], rad.

    From ||A - B||_F = 2 sqrt(2) sin(angle / 2), exact at small angles, where the arccosine of the trace is not.
    """
    chord = (a - b).flatten(-2).norm(dim=-1)
    return 2.0 * torch.asin((chord * (0.5 / 2**0.5)).clamp_max(1.0))


def rot6d(matrix: Tensor) -> Tensor:
    """Return the first two columns of rotation matrices, column after column: [..., 3, 3] to [..., 6].

    Zhou et al., On the Continuity of Rotation Representations in Neural Networks, CVPR 2019.
    """
    return matrix[..., :2].mT.flatten(-2)
