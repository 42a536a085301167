"""Keypoints of the reference at the future frames, by themselves and against the robot's own.

The values are sorted by component first (x of all frames and keypoints, then y, ...): the products then run over long
rows of numbers, many times faster than over thousands of 3 x 3 matrices.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mtrack.fields import component, param, scratch
from mtrack.mirror import Mirror
from mtrack.scene import Scene
from mtrack_tracking.observations import num_future


@component
class ReferenceKeypointPos:
    """Reference keypoints in their own root frame; then in that of the present frame, minus the robot's own [m].

    Each half is sorted by axis, frame, keypoint.
    """

    bodies: list[str] = param(factory=lambda: ["keypoints"])
    """Bodies or named sets of bodies, K together."""
    picked: Tensor = scratch()
    """Where the numbers of a half are among the positions of all frames and bodies, int64 [3 * S * K]."""
    present: Tensor = scratch()
    """Where the robot's own are among its bodies, int64 [3 * S * K]: the same ones for each frame."""
    halves: Mirror = scratch()

    def bind(self, scene: Scene) -> None:
        """Find the keypoints."""
        indices, frames, num_bodies = scene.model.bodies(self.bodies), num_future(scene), len(scene.model.body_names)
        frame = torch.arange(frames).view(1, -1, 1)
        axis = torch.arange(3).view(-1, 1, 1)
        self.picked = ((frame * num_bodies + indices) * 3 + axis).flatten().to(scene.device)
        self.present = (0 * frame + indices * 3 + axis).flatten().to(scene.device)
        self.halves = _by_component(Mirror.vector(), frames, scene.model.body_mirror(indices, Mirror.scalar()))

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, 2 * 3 * S * K]."""
        reference = scene.reference
        future = reference.future
        own = future.body_pos_root.flatten(1).index_select(1, self.picked)
        ahead = torch.unflatten(future.body_pos.flatten(1).index_select(1, self.picked), 1, (3, -1))
        ahead = reference.root_rot.mT @ (ahead - reference.root_pos.unsqueeze(2))
        present = scene.robot.body_pos_root.flatten(1).index_select(1, self.present)
        return torch.cat((own, ahead.flatten(1) - present), dim=1)

    def mirror(self) -> Mirror:
        """Return the mirror of positions."""
        return self.halves


@component
class ReferenceKeypointRot:
    """Reference keypoints relative to their own root; then relative to the robot's keypoints, root frames aligned.

    The second half is (R^T R_k)^T (Q_0^T Q_k): R and R_k of the robot's root and keypoint, Q_0 of the reference root at
    the present frame, Q_k of its keypoint. Of each matrix two columns, sorted by column, axis, frame, keypoint.
    """

    bodies: list[str] = param(factory=lambda: ["keypoints"])
    """Bodies or named sets of bodies, K together."""
    indices: Tensor = scratch()
    """int64 [K]."""
    columns: Tensor = scratch()
    """Where the numbers of a half are among the matrices of all frames and bodies, int64 [2 * 3 * S * K]."""
    turns: Tensor = scratch()
    """Order that sorts matrices [S, row, K, column] by row, column, frame, keypoint, int64 [3 * 3 * S * K]."""
    halves: Mirror = scratch()

    def bind(self, scene: Scene) -> None:
        """Find the keypoints."""
        indices, frames, num_bodies = scene.model.bodies(self.bodies), num_future(scene), len(scene.model.body_names)
        frame = torch.arange(frames).view(1, 1, -1, 1)
        axis = torch.arange(3).view(1, -1, 1, 1)
        column = torch.arange(2).view(-1, 1, 1, 1)
        self.columns = ((frame * num_bodies + indices) * 9 + axis * 3 + column).flatten().to(scene.device)
        place = torch.arange(frames * 9 * len(indices)).view(frames, 3, len(indices), 3)
        self.turns = place.permute(1, 3, 0, 2).flatten().to(scene.device)
        self.indices = indices.to(scene.device)
        self.halves = _by_component(Mirror.rot6d(), frames, scene.model.body_mirror(indices, Mirror.scalar()))

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, 2 * 6 * S * K]."""
        future = scene.reference.future
        own = future.body_rot_root.flatten(1).index_select(1, self.columns)
        # with Q_s the root at frame s: (R^T R_k)^T (Q_0^T Q_s) (Q_s^T Q_k), the last of which is `own`
        rows = future.root_rot.mT.flatten(1, 2) @ scene.reference.root_rot  # [n, S * 3, 3]
        robot = scene.robot.body_rot_root.index_select(1, self.indices).transpose(1, 2).flatten(2)  # [n, 3, K * 3]
        turn = torch.unflatten((rows @ robot).flatten(1).index_select(1, self.turns), 1, (3, 1, 3, -1))
        x, y, z = torch.unflatten(own, 1, (2, 3, 1, -1)).unbind(2)  # [n, 2, 1, S * K]
        relative = (x * turn[:, 0]).addcmul_(y, turn[:, 1]).addcmul_(z, turn[:, 2])  # [n, 2, 3, S * K]
        return torch.cat((own, relative.flatten(1)), dim=1)

    def mirror(self) -> Mirror:
        """Return the mirror of rotations."""
        return self.halves


def _by_component(component: Mirror, frames: int, keypoints: Mirror) -> Mirror:
    """Return the mirror of two halves, each with the components of S frames of K keypoints, sorted in that order."""
    each = keypoints.repeat(frames)
    return Mirror.cat([Mirror(each.perm, each.sign * sign) for sign in component.sign]).repeat(2)
