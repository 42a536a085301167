"""Forward kinematics of a BVH hierarchy, for many frames at once."""

from __future__ import annotations

import numpy as np

from mtrack_retarget.bvh_hierarchy import BvhJoint, Hierarchy
from mtrack_retarget.robot_motion import Array

_ZERO = 1e-6


class BvhKinematics:
    """Positions of the joints of a hierarchy."""

    def __init__(self, hierarchy: Hierarchy) -> None:
        """Keep the hierarchy."""
        self._joints = hierarchy.joints
        self._offsets = hierarchy.offsets
        self._has_children = set(hierarchy.parents)
        self._added: bool | None = None
        self.notes: list[str] = []
        """What was assumed about the file."""

    def positions(self, frames: Array) -> Array:
        """Return positions [n, K, 3] in the file's axes and unit, for the columns of n frames, angles in degrees."""
        if self._added is None:
            self._added = self._are_added(frames[:1])
        pos = np.empty((len(frames), len(self._joints), 3))
        turned: dict[int, Array] = {}
        for index, joint in enumerate(self._joints):
            local = self._local(index, joint, frames)
            turn = _rotations(joint, frames) if index in self._has_children else None
            if joint.parent < 0:
                pos[:, index] = local
            else:
                above = turned[joint.parent]
                pos[:, index] = pos[:, joint.parent] + np.einsum("nij,nj->ni", above, local)
                turn = above if turn is None else above @ turn
            if index in self._has_children:
                turned[index] = np.broadcast_to(np.eye(3), (len(frames), 3, 3)) if turn is None else turn
        return pos

    def rest_positions(self) -> Array:
        """Return positions [K, 3] without any rotation, with every root at its offset."""
        pos = self._offsets.copy()
        for index, joint in enumerate(self._joints):
            if joint.parent >= 0:
                pos[index] += pos[joint.parent]
        return pos

    def _local(self, index: int, joint: BvhJoint, frames: Array) -> Array:
        """Return the position of a joint in the axes of its parent, [n, 3]."""
        local = np.tile(self._offsets[index], (len(frames), 1))
        for axis, column in joint.positions:
            added = self._added and joint.parent >= 0
            local[:, axis] = frames[:, column] + (self._offsets[index, axis] if added else 0.0)
        return local

    def _are_added(self, first: Array) -> bool:
        """Return whether positions of joints below the root are added to their offsets instead of replacing them.

        Programs differ. Positions near zero cannot be bones, so those are displacements.
        """
        inner = [
            (frame, self._offsets[index, axis])
            for index, joint in enumerate(self._joints)
            if joint.parent >= 0
            for axis, column in joint.positions
            for frame in first[:, column]
        ]
        values = np.array(inner).reshape(-1, 2)
        to_offsets = float(np.abs(values[:, 0] - values[:, 1]).sum())
        is_added = bool(to_offsets > _ZERO and np.abs(values[:, 0]).sum() < to_offsets)
        if is_added:
            self.notes.append("positions of joints below the root are added to their offsets, because they are small")
        return is_added


def _rotations(joint: BvhJoint, frames: Array) -> Array | None:
    """Return the rotations of a joint relative to its parent, [n, 3, 3]; None if it has no such channel."""
    product: Array | None = None
    for axis, column in joint.rotations:
        turn = _about(axis, np.deg2rad(frames[:, column]))
        product = turn if product is None else product @ turn
    return product


def _about(axis: int, angle: Array) -> Array:
    """Return rotations about a coordinate axis, [n, 3, 3]."""
    turn = np.zeros((len(angle), 3, 3))
    following, last = (axis + 1) % 3, (axis + 2) % 3
    turn[:, axis, axis] = 1.0
    turn[:, following, following] = turn[:, last, last] = np.cos(angle)
    turn[:, last, following] = np.sin(angle)
    turn[:, following, last] = -turn[:, last, following]
    return turn
