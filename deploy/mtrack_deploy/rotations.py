"""Rotations in numpy, batched over leading dimensions.

Quaternions are unit quaternions in the order w, x, y, z. Rotation matrices map body axes to world axes.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
"""Float32 unless a docstring says otherwise."""


def quat_conjugate(quat_wxyz: Array) -> Array:
    """Return the conjugate, which is the inverse of a unit quaternion, [..., 4]."""
    return quat_wxyz * np.array([1.0, -1.0, -1.0, -1.0], np.float32)


def quat_multiply(a_wxyz: Array, b_wxyz: Array) -> Array:
    """Return the Hamilton product a b, the rotation by b followed by the rotation by a, [..., 4]."""
    aw, av = a_wxyz[..., :1], a_wxyz[..., 1:]
    bw, bv = b_wxyz[..., :1], b_wxyz[..., 1:]
    w = aw * bw - (av * bv).sum(-1, keepdims=True)
    return np.concatenate((w, aw * bv + bw * av + np.cross(av, bv)), axis=-1)


def _matrix_entries() -> Array:
    """Return the weights of the products w w, w x, ..., z z in the nine entries of a matrix, [16, 9]."""
    entries = np.zeros((4, 4, 3, 3), np.float32)
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        entries[0, 0, i, i] = entries[1 + i, 1 + i, i, i] = 1.0
        entries[1 + j, 1 + j, i, i] = entries[1 + k, 1 + k, i, i] = -1.0
        entries[1 + i, 1 + j, i, j] = entries[1 + i, 1 + j, j, i] = 2.0
        entries[0, 1 + k, i, j], entries[0, 1 + k, j, i] = -2.0, 2.0
    return entries.reshape(16, 9)


_ENTRIES = _matrix_entries()


def quat_to_matrix(quat_wxyz: Array) -> Array:
    """Return the rotation matrices of quaternions, [..., 4] to [..., 3, 3]."""
    # one matrix product instead of dozens of operations on small arrays, each of which takes microseconds
    products = (quat_wxyz[..., :, None] * quat_wxyz[..., None, :]).reshape(*quat_wxyz.shape[:-1], 16)
    return np.asarray(products @ _ENTRIES).reshape(*quat_wxyz.shape[:-1], 3, 3)


def quat_rotate(quat_wxyz: Array, vector: Array) -> Array:
    """Return vectors [..., 3] rotated by quaternions."""
    return np.asarray(np.einsum("...ij,...j->...i", quat_to_matrix(quat_wxyz), vector))


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


def tilt_between(first_wxyz: Array, second_wxyz: Array) -> Array:
    """Return the angle between the vertical axes of two bodies, [..., 4] to [...] rad."""
    up, other = (quat_to_matrix(quat)[..., 2] for quat in (first_wxyz, second_wxyz))
    return np.asarray(np.arccos(np.clip((up * other).sum(-1), -1.0, 1.0)))


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
    return np.asarray(mixed / np.linalg.norm(mixed, axis=-1, keepdims=True), np.float32)
