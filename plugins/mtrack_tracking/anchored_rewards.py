"""Rewards of single-phase tracking: exp(-e / std^2) of a mean squared error e, at an anchor or in the world."""

from __future__ import annotations

from torch import Tensor

from mtrack import Scene, component, param, positive, scratch
from mtrack.math import quat_conjugate, quat_multiply, quat_rotate, quat_to_matrix, quat_yaw, rotation_angle, transform
from mtrack_tracking.anchor import Anchored, AnchoredBodies


def _closeness(square: Tensor, std: float) -> Tensor:
    return (square * (-1.0 / std**2)).exp()


@component
class AnchorPosTracking(Anchored):
    """Closeness of the anchor to its position in the world."""

    std: float = param(default=0.3, validator=positive)
    """Error at which the reward has fallen to 1/e [m]."""

    def __call__(self, scene: Scene) -> Tensor:
        """Return [N], in (0, 1]."""
        apart = scene.robot.body_pos[:, self.index] - scene.reference.body_pos[:, self.index]
        return _closeness(apart.square().sum(-1), self.std)


@component
class AnchorRotTracking(Anchored):
    """Closeness of the anchor's orientation in the world."""

    std: float = param(default=0.4, validator=positive)
    """Error at which the reward has fallen to 1/e [rad]."""

    def __call__(self, scene: Scene) -> Tensor:
        """Return [N], in (0, 1]."""
        angle = rotation_angle(scene.robot.body_rot[:, self.index], scene.reference.body_rot[:, self.index])
        return _closeness(angle.square(), self.std)


@component
class AnchoredBodyPosTracking(AnchoredBodies):
    """Closeness of the bodies to the reference's, after it was moved horizontally and turned to the robot's anchor."""

    std: float = param(default=0.3, validator=positive)
    """Root of the mean squared error at which the reward has fallen to 1/e [m]."""

    def __call__(self, scene: Scene) -> Tensor:
        """Return [N], in (0, 1]."""
        robot, reference = scene.robot, scene.reference
        wanted = _from_anchor(reference.body_pos, self.index, self.indices)
        wanted = quat_rotate(_turn(scene, self.index).unsqueeze(1), wanted)
        apart = _from_anchor(robot.body_pos, self.index, self.indices) - wanted
        # heights are compared in the world, not from the anchor
        apart[..., 2] += (robot.body_pos[:, self.index, 2] - reference.body_pos[:, self.index, 2]).unsqueeze(1)
        return _closeness(apart.square().sum(-1).mean(-1), self.std)


@component
class AnchoredBodyRotTracking(AnchoredBodies):
    """Closeness of the bodies' orientations, after the reference was turned to the heading of the robot's anchor."""

    std: float = param(default=0.4, validator=positive)
    """Root of the mean squared error at which the reward has fallen to 1/e [rad]."""

    def __call__(self, scene: Scene) -> Tensor:
        """Return [N], in (0, 1]."""
        turn = quat_to_matrix(_turn(scene, self.index)).unsqueeze(1)
        wanted = transform(turn, scene.reference.body_rot.index_select(1, self.indices))
        angle = rotation_angle(scene.robot.body_rot.index_select(1, self.indices), wanted)
        return _closeness(angle.square().mean(-1), self.std)


@component
class BodyLinVelTracking:
    """Closeness of the bodies' linear velocities in the world."""

    std: float = param(default=1.0, validator=positive)
    """Root of the mean squared error at which the reward has fallen to 1/e [m/s]."""
    bodies: list[str] = param(factory=lambda: ["keypoints"])
    """Bodies or named sets of bodies, K together."""
    indices: Tensor = scratch()

    def bind(self, scene: Scene) -> None:
        """Find the bodies. Raises NameProblem."""
        self.indices = scene.model.bodies(self.bodies).to(scene.device)

    def __call__(self, scene: Scene) -> Tensor:
        """Return [N], in (0, 1]."""
        error = (scene.robot.body_lin_vel - scene.reference.body_lin_vel).index_select(1, self.indices)
        return _closeness(error.square().sum(-1).mean(-1), self.std)


@component
class BodyAngVelTracking:
    """Closeness of the bodies' angular velocities in the world."""

    std: float = param(default=3.14, validator=positive)
    """Root of the mean squared error at which the reward has fallen to 1/e [rad/s]."""
    bodies: list[str] = param(factory=lambda: ["keypoints"])
    """Bodies or named sets of bodies, K together."""
    indices: Tensor = scratch()

    def bind(self, scene: Scene) -> None:
        """Find the bodies. Raises NameProblem."""
        self.indices = scene.model.bodies(self.bodies).to(scene.device)

    def __call__(self, scene: Scene) -> Tensor:
        """Return [N], in (0, 1]."""
        error = (scene.robot.body_ang_vel - scene.reference.body_ang_vel).index_select(1, self.indices)
        return _closeness(error.square().sum(-1).mean(-1), self.std)


def _from_anchor(body_pos: Tensor, anchor: int, indices: Tensor) -> Tensor:
    """Return the positions of bodies minus that of the anchor, [N, K, 3] m."""
    return body_pos.index_select(1, indices) - body_pos[:, anchor].unsqueeze(1)


def _turn(scene: Scene, anchor: int) -> Tensor:
    """Return the turn from the heading of the reference's anchor to that of the robot's, quaternions [N, 4]."""
    robot, reference = scene.robot.body_quat_wxyz[:, anchor], scene.reference.body_quat_wxyz[:, anchor]
    return quat_yaw(quat_multiply(robot, quat_conjugate(reference)))
