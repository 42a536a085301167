"""What the policy observes of the joints of the motion to follow, at the future frames.

A quantity of S future frames is [n, S * J], frame after frame, the present one first. With `frames` there are only as
many, e.g. the present frame alone with `frames = 1`.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from mtrack import Mirror, MtrackError, Noise, RobotTerm, Scene, component, non_negative, param, scratch
from mtrack_tracking.observations import frame_columns, num_future


@component
class ReferenceJoints:
    """A quantity of the reference's joints at the first future frames."""

    sensors: ClassVar[tuple[str, ...]] = ()

    frames: int = param(default=0, validator=non_negative)
    """Number of frames to observe, from the present one on; 0 for all that the command shows."""
    shown: int = scratch()
    """Number of frames observed."""
    joints: Mirror = scratch()
    columns: list[str] = scratch()

    def bind(self, scene: Scene) -> None:
        """Take the joints' mirror and names. Raises MtrackError if the command shows fewer frames."""
        available = num_future(scene)
        if self.frames > available:
            raise MtrackError(
                f"frames = {self.frames}, but the command shows {available} frames (command.future_frames)"
            )
        self.shown = self.frames or available
        self.joints = scene.model.joint_mirror.repeat(self.shown)
        self.columns = frame_columns(scene, scene.model.joint_names, count=self.shown)

    def joints_term(self, kind: str, unit: str) -> RobotTerm:
        """Return how a robot computes the quantity."""
        return RobotTerm(kind=kind, columns=self.columns, unit=unit, parameters={"frames": self.shown})

    def mirror(self) -> Mirror:
        """Return the mirror of joints."""
        return self.joints


@component
class ReferenceJointPos(ReferenceJoints):
    """Joint positions of the reference [rad]."""

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, S * J]."""
        return scene.reference.future.joint_pos[:, : self.shown].flatten(1)

    def robot_term(self) -> RobotTerm:
        """Return how a robot computes it."""
        return self.joints_term("reference_joint_pos", "rad")


@component
class ReferenceJointVel(ReferenceJoints):
    """Joint velocities of the reference [rad/s]."""

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, S * J] rad/s."""
        return scene.reference.future.joint_vel[:, : self.shown].flatten(1)

    def robot_term(self) -> RobotTerm:
        """Return how a robot computes it."""
        return self.joints_term("reference_joint_vel", "rad/s")


@component
class ReferenceJointDifference:
    """Joint positions of the reference minus the present readings of the encoders [rad]."""

    sensors: ClassVar[tuple[str, ...]] = ("joint_encoders",)

    joints: Mirror = scratch()
    columns: list[str] = scratch()

    def bind(self, scene: Scene) -> None:
        """Take the joints' mirror and names."""
        self.joints = scene.model.joint_mirror.repeat(num_future(scene))
        self.columns = frame_columns(scene, scene.model.joint_names)

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, S * J]."""
        reading = scene.robot.joint_pos - scene.robot.joint_offset
        return (scene.reference.future.joint_pos - reading.unsqueeze(1)).flatten(1)

    def disturb(self, value: Tensor, scene: Scene, noise: Noise) -> Tensor:
        """Return the value with one noisy reading of each encoder, the same against all frames."""
        num_joints = len(scene.model.joint_names)
        return (torch.unflatten(value, 1, (-1, num_joints)) - noise((len(value), 1, num_joints))).flatten(1)

    def robot_term(self) -> RobotTerm:
        """Return how a robot computes it."""
        return RobotTerm(kind="reference_joint_difference", columns=self.columns, unit="rad")

    def mirror(self) -> Mirror:
        """Return the mirror of joints."""
        return self.joints
