"""Rewards for following the reference: exp(-error / sigma) of a mean error, which is 1 without error."""

from __future__ import annotations

from torch import Tensor

from mtrack import Scene, component, param, positive, scratch
from mtrack.math import rotation_angle
from mtrack_tracking.errors import ANG_VEL, LIN_VEL, POS, ROT, mean_body_error, root_target


def _closeness(error: Tensor, sigma: float) -> Tensor:
    return (error * (-1.0 / sigma)).exp()


@component
class RootPosTracking:
    """Closeness of the root to its target position."""

    sigma: float = param(default=0.3, validator=positive)
    """Error at which the reward has fallen to 1/e [m]."""

    def __call__(self, scene: Scene) -> Tensor:
        """Return [N], in (0, 1]."""
        return _closeness((root_target(scene) - scene.robot.root_pos).norm(dim=-1), self.sigma)


@component
class RootRotTracking:
    """Closeness of the root's orientation: angle to the reference's."""

    sigma: float = param(default=0.4, validator=positive)
    """Error at which the reward has fallen to 1/e [rad]."""

    def __call__(self, scene: Scene) -> Tensor:
        """Return [N], in (0, 1]."""
        return _closeness(rotation_angle(scene.robot.root_rot, scene.reference.root_rot), self.sigma)


@component
class RootVelTracking:
    """Closeness of the root's linear velocity; robot and reference each in their own root frame."""

    sigma: float = param(default=1.0, validator=positive)
    """Error at which the reward has fallen to 1/e [m/s]."""

    def __call__(self, scene: Scene) -> Tensor:
        """Return [N], in (0, 1]."""
        error = scene.robot.root_lin_vel_root - scene.reference.root_lin_vel_root
        return _closeness(error.norm(dim=-1), self.sigma)


@component
class RootAngVelTracking:
    """Closeness of the root's angular velocity; robot and reference each in their own root frame."""

    sigma: float = param(default=3.0, validator=positive)
    """Error at which the reward has fallen to 1/e [rad/s]."""

    def __call__(self, scene: Scene) -> Tensor:
        """Return [N], in (0, 1]."""
        error = scene.robot.root_ang_vel_root - scene.reference.root_ang_vel_root
        return _closeness(error.norm(dim=-1), self.sigma)


@component
class BaseHeightTracking:
    """Closeness of the root's height."""

    sigma: float = param(default=0.1, validator=positive)
    """Error at which the reward has fallen to 1/e [m]."""

    def __call__(self, scene: Scene) -> Tensor:
        """Return [N], in (0, 1]."""
        return _closeness((scene.robot.root_pos[:, 2] - scene.reference.root_pos[:, 2]).abs(), self.sigma)


@component
class LinVelTracking:
    """Closeness of the root's horizontal velocity, in world axes."""

    sigma: float = param(default=0.5, validator=positive)
    """Error at which the reward has fallen to 1/e [m/s]."""

    def __call__(self, scene: Scene) -> Tensor:
        """Return [N], in (0, 1]."""
        error = scene.robot.root_lin_vel[:, :2] - scene.reference.root_lin_vel[:, :2]
        return _closeness(error.norm(dim=-1), self.sigma)


@component
class KeypointPosTracking:
    """Closeness of the keypoints to the reference's, seen from the root: pose counts, drift does not."""

    sigma: float = param(default=0.3, validator=positive)
    """Mean error at which the reward has fallen to 1/e [m]."""
    bodies: list[str] = param(factory=lambda: ["keypoints"])
    """Bodies or named sets of bodies."""
    indices: Tensor = scratch()

    def bind(self, scene: Scene) -> None:
        """Find the bodies."""
        self.indices = scene.model.bodies(self.bodies).to(scene.device)

    def __call__(self, scene: Scene) -> Tensor:
        """Return [N], in (0, 1]."""
        return _closeness(mean_body_error(scene, POS, self.indices), self.sigma)


@component
class KeypointRotTracking:
    """Closeness of the keypoints' orientations relative to the root."""

    sigma: float = param(default=0.4, validator=positive)
    """Mean error at which the reward has fallen to 1/e [rad]."""
    bodies: list[str] = param(factory=lambda: ["keypoints"])
    """Bodies or named sets of bodies."""
    indices: Tensor = scratch()

    def bind(self, scene: Scene) -> None:
        """Find the bodies."""
        self.indices = scene.model.bodies(self.bodies).to(scene.device)

    def __call__(self, scene: Scene) -> Tensor:
        """Return [N], in (0, 1]."""
        return _closeness(mean_body_error(scene, ROT, self.indices), self.sigma)


@component
class KeypointVelTracking:
    """Closeness of the keypoints' linear velocities relative to the root."""

    sigma: float = param(default=1.0, validator=positive)
    """Mean error at which the reward has fallen to 1/e [m/s]."""
    bodies: list[str] = param(factory=lambda: ["keypoints"])
    """Bodies or named sets of bodies."""
    indices: Tensor = scratch()

    def bind(self, scene: Scene) -> None:
        """Find the bodies."""
        self.indices = scene.model.bodies(self.bodies).to(scene.device)

    def __call__(self, scene: Scene) -> Tensor:
        """Return [N], in (0, 1]."""
        return _closeness(mean_body_error(scene, LIN_VEL, self.indices), self.sigma)


@component
class KeypointAngVelTracking:
    """Closeness of the keypoints' angular velocities relative to the root."""

    sigma: float = param(default=3.0, validator=positive)
    """Mean error at which the reward has fallen to 1/e [rad/s]."""
    bodies: list[str] = param(factory=lambda: ["keypoints"])
    """Bodies or named sets of bodies."""
    indices: Tensor = scratch()

    def bind(self, scene: Scene) -> None:
        """Find the bodies."""
        self.indices = scene.model.bodies(self.bodies).to(scene.device)

    def __call__(self, scene: Scene) -> Tensor:
        """Return [N], in (0, 1]."""
        return _closeness(mean_body_error(scene, ANG_VEL, self.indices), self.sigma)


@component
class JointPosTracking:
    """Closeness of the joint positions: mean absolute difference."""

    sigma: float = param(default=0.5, validator=positive)
    """Mean error at which the reward has fallen to 1/e [rad]."""
    joints: list[str] = param(factory=lambda: ["non_ankle"])
    """Joints or named sets of joints."""
    indices: Tensor = scratch()

    def bind(self, scene: Scene) -> None:
        """Find the joints."""
        self.indices = scene.model.joints(self.joints).to(scene.device)

    def __call__(self, scene: Scene) -> Tensor:
        """Return [N], in (0, 1]."""
        error = scene.robot.joint_pos - scene.reference.joint_pos
        return _closeness(error.index_select(1, self.indices).abs().mean(1), self.sigma)


@component
class JointVelTracking:
    """Closeness of the joint velocities: mean absolute difference."""

    sigma: float = param(default=3.0, validator=positive)
    """Mean error at which the reward has fallen to 1/e [rad/s]."""
    joints: list[str] = param(factory=lambda: ["non_ankle"])
    """Joints or named sets of joints."""
    indices: Tensor = scratch()

    def bind(self, scene: Scene) -> None:
        """Find the joints."""
        self.indices = scene.model.joints(self.joints).to(scene.device)

    def __call__(self, scene: Scene) -> Tensor:
        """Return [N], in (0, 1]."""
        error = scene.robot.joint_vel - scene.reference.joint_vel
        return _closeness(error.index_select(1, self.indices).abs().mean(1), self.sigma)
