"""Rotations in numpy, batched over leading dimensions.

Quaternions are unit quaternions in the order w, x, y, z. Rotation matrices map body axes to world axes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


def quat_conjugate(quat_wxyz: Array) -> Array:
    """Return the conjugate, which is the inverse of a unit quaternion, [..., 4]."""
    return quat_wxyz * np.array([1.0, -1.0, -1.0, -1.0], np.float32)


def quat_multiply(a_wxyz: Array, b_wxyz: Array) -> Array:
    """Return the Hamilton product a b, the rotation by b followed by the rotation by a, [..., 4]."""
    aw, av = a_wxyz[..., :1], a_wxyz[..., 1:]
    bw, bv = b_wxyz[..., :1], b_wxyz[..., 1:]
    w = aw * bw - (av * bv).sum(-1, keepdims=True)
    return np.concatenate((w, aw * bv + bw * av + np.cross(av, bv)), axis=-1)


def quat_to_matrix(quat_wxyz: Array) -> Array:
    """Return the rotation matrices of quaternions, [..., 4] to [..., 3, 3]."""
    w, x, y, z = np.moveaxis(quat_wxyz, -1, 0)
    rows = (
        (w * w + x * x - y * y - z * z, 2.0 * (x * y - w * z), 2.0 * (x * z + w * y)),
        (2.0 * (x * y + w * z), w * w - x * x + y * y - z * z, 2.0 * (y * z - w * x)),
        (2.0 * (x * z - w * y), 2.0 * (y * z + w * x), w * w - x * x - y * y + z * z),
    )
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def quat_rotate(quat_wxyz: Array, vector: Array) -> Array:
    """Return vectors [..., 3] rotated by quaternions."""
    return np.einsum("...ij,...j->...i", quat_to_matrix(quat_wxyz), vector)


def quat_of_yaw(yaw: float) -> Array:
    """Return the rotation about the vertical axis by an angle [rad], [4]."""
    return np.array([np.cos(0.5 * yaw), 0.0, 0.0, np.sin(0.5 * yaw)], np.float32)


def quat_of_axis(axis: Array, angle: float) -> Array:
    """Return the rotation about a unit axis [3] by an angle [rad], [4]."""
    return np.concatenate(([np.cos(0.5 * angle)], np.sin(0.5 * angle) * axis)).astype(np.float32)


def yaw_of(quat_wxyz: Array) -> float:
    """Return the heading of a rotation [4]: the angle about the vertical axis [rad]."""
    w, x, y, z = (float(value) for value in quat_wxyz)
    return float(np.arctan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z)))


def slerp(start_wxyz: Array, end_wxyz: Array, share: Array) -> Array:
    """Return rotations from `start_wxyz` [4] (share 0) to `end_wxyz` [4] (share 1) the shorter way, [n, 4]."""
    dot = float(start_wxyz @ end_wxyz)
    end = -end_wxyz if dot < 0.0 else end_wxyz
    angle = np.arccos(min(abs(dot), 1.0))
    share = share[:, None]
    if angle < 1e-4:
        mixed = (1.0 - share) * start_wxyz + share * end
    else:
        mixed = np.sin((1.0 - share) * angle) * start_wxyz + np.sin(share * angle) * end
    return (mixed / np.linalg.norm(mixed, axis=-1, keepdims=True)).astype(np.float32)
