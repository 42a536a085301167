"""Rewards for moving smoothly, within joint and torque limits, and without falling."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrack import Scene, between, component, param, positive, scratch
from mtrack_body.names import Columns, joint_columns


@component
class Survival:
    """1 in every step of an episode."""

    def __call__(self, scene: Scene) -> Tensor:
        """Return [N], all 1."""
        return torch.ones(scene.num_envs, device=scene.device)


@component
class JointVelL2:
    """-sum of squared joint velocities."""

    joints: tuple[str, ...] = param(default=(".*",))
    """Joints that count."""
    columns: Columns = scratch()

    def bind(self, scene: Scene) -> None:
        """Resolve the joints. Raises NameProblem."""
        self.columns = joint_columns(scene, self.joints)

    def __call__(self, scene: Scene) -> Tensor:
        """Return [N], at most 0."""
        return -scene.robot.joint_vel[:, self.columns].square().sum(-1)


@component
class JointAccL2:
    """-sum of squared joint accelerations, each bounded."""

    joints: tuple[str, ...] = param(default=(".*",))
    """Joints that count."""
    clip: float = param(default=100.0, validator=positive)
    """Bound of an acceleration, because contacts make it huge for a substep [rad/s^2]."""
    columns: Columns = scratch()

    def bind(self, scene: Scene) -> None:
        """Resolve the joints. Raises NameProblem."""
        self.columns = joint_columns(scene, self.joints)

    def __call__(self, scene: Scene) -> Tensor:
        """Return [N], at most 0."""
        return -scene.robot.joint_acc[:, self.columns].clamp(-self.clip, self.clip).square().sum(-1)


@component
class TorquesL2:
    """-sum of squared joint torques."""

    joints: tuple[str, ...] = param(default=(".*",))
    """Joints that count."""
    columns: Columns = scratch()

    def bind(self, scene: Scene) -> None:
        """Resolve the joints. Raises NameProblem."""
        self.columns = joint_columns(scene, self.joints)

    def __call__(self, scene: Scene) -> Tensor:
        """Return [N], at most 0."""
        return -scene.robot.joint_torque[:, self.columns].square().sum(-1)


@component
class ActionRateL2:
    """-sum of squared changes of the raw action since the previous step."""

    def __call__(self, scene: Scene) -> Tensor:
        """Return [N], at most 0."""
        return -(scene.action - scene.previous_actions[:, 0]).square().sum(-1)


@component
class JointPosLimits:
    """-sum over joints of the excess beyond the soft range, divided by 1 - soft_factor."""

    joints: tuple[str, ...] = param(default=(".*",))
    """Joints that count."""
    soft_factor: float = param(default=0.9, validator=between(0.0, 0.99))
    """Share of the joint range, about its middle, without penalty."""
    columns: Columns = scratch()
    low: Tensor = scratch()
    high: Tensor = scratch()

    def bind(self, scene: Scene) -> None:
        """Resolve the joints and their soft range. Raises NameProblem."""
        self.columns = joint_columns(scene, self.joints)
        low, high = scene.model.joint_range.to(scene.device)[self.columns].unbind(-1)
        margin = 0.5 * (1.0 - self.soft_factor) * (high - low)
        self.low, self.high = low + margin, high - margin

    def __call__(self, scene: Scene) -> Tensor:
        """Return [N], at most 0."""
        joint_pos = scene.robot.joint_pos[:, self.columns]
        excess = joint_pos - joint_pos.clamp(self.low, self.high)
        return excess.abs().sum(-1) * (-1.0 / (1.0 - self.soft_factor))


@component
class JointTorqueLimits:
    """-sum of relu(|torque| / (soft_factor effort limit) - 1)."""

    joints: tuple[str, ...] = param(default=(".*",))
    """Joints that count."""
    soft_factor: float = param(default=0.75, validator=between(0.01, 1.0))
    """Share of the effort limit without penalty."""
    columns: Columns = scratch()
    inverse_limit: Tensor = scratch()

    def bind(self, scene: Scene) -> None:
        """Resolve the joints and their limits. Raises NameProblem."""
        self.columns = joint_columns(scene, self.joints)
        self.inverse_limit = 1.0 / (self.soft_factor * scene.model.effort_limit.to(scene.device)[self.columns])

    def __call__(self, scene: Scene) -> Tensor:
        """Return [N], at most 0."""
        share = scene.robot.joint_torque[:, self.columns].abs() * self.inverse_limit
        return -(share - 1.0).relu().sum(-1)
