"""Keypoints of the reference at the future frames: seen from its own root, and compared with the robot's."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from mtrack import Kinematics, Mirror, RobotModel, Scene, component, param, scratch
from mtrack.math import transform
from mtrack_motion.tables import GatheredKinematics
from mtrack_tracking.observations import num_future


@component
class ReferenceKeypointPos:
    """Positions of the reference's keypoints, in two halves [m].

    First, seen from the reference's root at each frame; second, seen from its root at the present frame, minus the
    robot's keypoints seen from the robot's root. Sorted by half, frame, axis, keypoint.
    """

    sensors: ClassVar[tuple[str, ...]] = ("body_poses",)

    bodies: list[str] = param(factory=lambda: ["keypoints"])
    """Bodies or named sets of bodies, K together."""
    indices: Tensor = scratch()
    """int64 [K]."""
    known_as: str = scratch()
    """Name under which these keypoints are kept once they are computed."""
    halves: Mirror = scratch()

    def bind(self, scene: Scene) -> None:
        """Find the keypoints."""
        indices = scene.model.bodies(self.bodies)
        self.indices, self.known_as = indices.to(scene.device), f"keypoints {indices.tolist()}"
        self.halves = _mirror(scene.model, indices, (1.0, -1.0, 1.0)).repeat(2 * num_future(scene))

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, 2 * S * 3 * K]."""
        own, ahead = _keypoints(scene, self.indices, self.known_as)
        reference = scene.reference
        shift = (reference.future.root_pos - reference.root_pos.unsqueeze(1)) @ reference.root_rot  # [n, S, 3]
        present = scene.robot.body_root[:, :, 0].index_select(-1, self.indices).unsqueeze(1)  # [n, 1, 3, K]
        difference = ahead[..., 0, :] + (shift.unsqueeze(-1) - present)
        return torch.cat((own[..., 0, :].flatten(1), difference.flatten(1)), dim=1)

    def mirror(self) -> Mirror:
        """Return the mirror of positions."""
        return self.halves


@component
class ReferenceKeypointRot:
    """Rotations of the reference's keypoints, in two halves: relative to its root, and to the robot's keypoints.

    The second half is (R^T R_k)^T (Q_0^T Q_k), with R and R_k of the robot's root and keypoint, Q_0 of the reference's
    root at the present frame and Q_k of its keypoint. Two columns of each matrix, sorted by half, frame, axis, column,
    keypoint.
    """

    sensors: ClassVar[tuple[str, ...]] = ("body_poses",)

    bodies: list[str] = param(factory=lambda: ["keypoints"])
    """Bodies or named sets of bodies, K together."""
    indices: Tensor = scratch()
    """int64 [K]."""
    known_as: str = scratch()
    """Name under which these keypoints are kept once they are computed."""
    twice: Tensor = scratch()
    """int64 [2 K], `indices` twice."""
    halves: Mirror = scratch()

    def bind(self, scene: Scene) -> None:
        """Find the keypoints."""
        indices = scene.model.bodies(self.bodies)
        self.indices, self.known_as = indices.to(scene.device), f"keypoints {indices.tolist()}"
        self.twice = self.indices.repeat(2)
        signs = (1.0, -1.0, -1.0, 1.0, 1.0, -1.0)  # of M Q M, M = diag(1, -1, 1), row after row
        self.halves = _mirror(scene.model, indices, signs).repeat(2 * num_future(scene))

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, 2 * S * 3 * 2 * K]."""
        own, ahead = _keypoints(scene, self.indices, self.known_as)
        # both columns of the reference at once, with the robot's keypoints twice: long rows are faster
        robot = scene.robot.body_root[:, :, 3:].index_select(-1, self.twice)  # [n, axis, column, 2 K]
        x, y, z = robot.unsqueeze(1).unbind(2)  # rows of the robot's matrices, [n, 1, column, 2 K]
        ahead = ahead[..., 1:, :].flatten(-2).unsqueeze(3)  # [n, S, axis, 1, 2 K]
        relative = (x * ahead[:, :, 0]).addcmul_(y, ahead[:, :, 1]).addcmul_(z, ahead[:, :, 2])
        return torch.cat((own[..., 1:, :].flatten(1), relative.flatten(1)), dim=1)

    def mirror(self) -> Mirror:
        """Return the mirror of rotations."""
        return self.halves


def _keypoints(scene: Scene, indices: Tensor, name: str) -> tuple[Tensor, Tensor]:
    """Return position and two matrix columns of the reference's keypoints at S frames, [n, S, axis, 3, K], twice.

    First in the root frame of each frame, then turned into the root frame of the present frame, with the origin of
    each frame. Both observations need them, so `future` keeps them under a name.
    """
    future = scene.reference.future

    def seen_from_root(frames: Kinematics) -> Tensor:
        seen = frames.body_root.index_select(-1, indices)
        return torch.cat((seen[..., :1, :], seen[..., 3:5, :]), dim=-2)  # position, two columns of the rotation

    own = future.fetch(name, seen_from_root) if isinstance(future, GatheredKinematics) else seen_from_root(future)
    if f"{name} ahead" not in future.cache:
        turn = scene.reference.root_rot.mT.unsqueeze(1) @ future.root_rot  # [n, S, 3, 3]
        future.cache[f"{name} ahead"] = transform(turn, own.flatten(-2)).view(own.shape)
    return own, future.cache[f"{name} ahead"]


def _mirror(model: RobotModel, indices: Tensor, signs: tuple[float, ...]) -> Mirror:
    """Return the mirror of numbers of K keypoints, sorted by component; each component has a sign."""
    keypoints = model.body_mirror(indices, Mirror.scalar())
    return Mirror.cat([Mirror(keypoints.perm, keypoints.sign * sign) for sign in signs])
