"""Keypoints of the reference at the future frames, by themselves and against the robot's own."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrack.fields import component, param, scratch
from mtrack.mirror import Mirror
from mtrack.scene import Scene
from mtrack_tracking.observations import num_future


@component
class ReferenceKeypointPos:
    """Reference keypoints in their own root frame; then in that of the present frame, minus the robot's own [m]."""

    bodies: list[str] = param(factory=lambda: ["keypoints"])
    """Bodies or named sets of bodies, K together."""
    indices: Tensor = scratch()
    blocks: Mirror = scratch()

    def bind(self, scene: Scene) -> None:
        """Find the keypoints."""
        self.indices, self.blocks = _keypoints(scene, self.bodies, Mirror.vector())

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, 2 * S * K * 3]."""
        reference, future = scene.reference, scene.reference.future
        own = future.body_pos_root.index_select(2, self.indices).flatten(1)
        way = future.body_pos.index_select(2, self.indices) - reference.root_pos[:, None, None]
        ahead = way.flatten(1, 2) @ reference.root_rot
        present = scene.robot.body_pos_root.index_select(1, self.indices)
        difference = ahead.flatten(1).unflatten(1, (-1, present[0].numel())) - present.flatten(1).unsqueeze(1)
        return torch.cat((own, difference.flatten(1)), dim=1)

    def mirror(self) -> Mirror:
        """Return the mirror of positions."""
        return self.blocks


@component
class ReferenceKeypointRot:
    """Reference keypoints relative to their own root; then relative to the robot's keypoints, root frames aligned.

    The second half is (R_root^T R_k)^T (Q_root^T Q_k), R of the robot, Q of the reference, Q_root at the present frame.
    Each rotation as the first two columns of its matrix.
    """

    bodies: list[str] = param(factory=lambda: ["keypoints"])
    """Bodies or named sets of bodies, K together."""
    indices: Tensor = scratch()
    blocks: Mirror = scratch()

    def bind(self, scene: Scene) -> None:
        """Find the keypoints."""
        self.indices, self.blocks = _keypoints(scene, self.bodies, Mirror.rot6d())

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, 2 * S * K * 6]."""
        reference, future = scene.reference, scene.reference.future
        own = future.body_rot_root.index_select(2, self.indices)[..., :2].mT.flatten(1)
        # columns c of Q_k as rows: c^T (Q_root R_root^T R_k), the bracket once for all frames
        columns = future.body_rot.index_select(2, self.indices)[..., :2].mT  # [n, S, K, 2, 3]
        turned = _times_each(reference.root_rot, scene.robot.body_rot_root.index_select(1, self.indices))
        x, y, z = columns.unsqueeze(-1).unbind(-2)
        right = turned[:, None, :, None]  # [n, 1, K, 1, 3, 3]
        relative = x * right[..., 0, :] + y * right[..., 1, :] + z * right[..., 2, :]
        return torch.cat((own, relative.flatten(1)), dim=1)

    def mirror(self) -> Mirror:
        """Return the mirror of rotations."""
        return self.blocks


def _keypoints(scene: Scene, bodies: list[str], each: Mirror) -> tuple[Tensor, Mirror]:
    """Return body indices, and the mirror of two blocks of S frames of K bodies."""
    indices = scene.model.bodies(bodies)
    return indices.to(scene.device), scene.model.body_mirror(indices, each).repeat(2 * num_future(scene))


def _times_each(left: Tensor, rights: Tensor) -> Tensor:
    """Return left @ right for each of K matrices a row, [n, 3, 3] and [n, K, 3, 3], as one product a row."""
    side_by_side = rights.transpose(1, 2).flatten(2)  # [n, 3, K * 3]
    return (left @ side_by_side).unflatten(2, (-1, 3)).transpose(1, 2)
