"""Observations of the robot's own state: joints, root, actions."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from mtrack import Mirror, NameProblem, Noise, RobotTerm, Scene, between, component, param, positive, scratch
from mtrack_body.names import XYZ, Joints, joint_mirror, select_joints


@component
class JointPos:
    """Joint positions, as the encoders measure them or true [rad]."""

    joints: tuple[str, ...] = param(default=(".*",))
    """Joints to observe."""
    measured: bool = param(default=True)
    """Whether to return encoder readings, which include the calibration error, instead of true positions."""
    relative: bool = param(default=False)
    """Whether to subtract the default pose."""
    selected: Joints = scratch()
    default_pose: Tensor = scratch()
    """[joints] rad."""

    @property
    def sensors(self) -> tuple[str, ...]:
        """`joint_encoders` for readings, `simulation` for true positions."""
        return ("joint_encoders",) if self.measured else ("simulation",)

    def bind(self, scene: Scene) -> None:
        """Resolve the joints. Raises NameProblem."""
        self.selected = select_joints(scene, self.joints)
        self.default_pose = scene.model.default_joint_pos.to(scene.device)[self.selected.columns]

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, joints] rad."""
        robot = scene.robot
        joint_pos = robot.joint_pos - robot.joint_offset if self.measured else robot.joint_pos
        selected = joint_pos[:, self.selected.columns]
        return selected - self.default_pose if self.relative else selected

    def robot_term(self) -> RobotTerm:
        """Return how a robot computes it."""
        pose = {"minus": self.default_pose.tolist()} if self.relative else {}
        return self.selected.robot_term("joint_pos", "rad", **pose)

    def mirror(self) -> Mirror:
        """Return the mirror of the joints."""
        return self.selected.mirror


@component
class JointVel:
    """Joint velocities [rad/s]."""

    sensors: ClassVar[tuple[str, ...]] = ("joint_encoders",)

    joints: tuple[str, ...] = param(default=(".*",))
    """Joints to observe."""
    selected: Joints = scratch()

    def bind(self, scene: Scene) -> None:
        """Resolve the joints. Raises NameProblem."""
        self.selected = select_joints(scene, self.joints)

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, joints] rad/s."""
        return scene.robot.joint_vel[:, self.selected.columns]

    def robot_term(self) -> RobotTerm:
        """Return how a robot computes it."""
        return self.selected.robot_term("joint_vel", "rad/s")

    def mirror(self) -> Mirror:
        """Return the mirror of the joints."""
        return self.selected.mirror


@component
class AppliedTarget:
    """Position targets of the last substep, after delay and filter [rad]."""

    sensors: ClassVar[tuple[str, ...]] = ("simulation",)

    joints: tuple[str, ...] = param(default=(".*",))
    """Joints to observe."""
    selected: Joints = scratch()

    def bind(self, scene: Scene) -> None:
        """Resolve the joints. Raises NameProblem."""
        self.selected = select_joints(scene, self.joints)

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, joints] rad."""
        return scene.robot.joint_target[:, self.selected.columns]

    def mirror(self) -> Mirror:
        """Return the mirror of the joints."""
        return self.selected.mirror


@component
class AppliedTorque:
    """Joint torques of the last substep, after the effort limits [N m]."""

    sensors: ClassVar[tuple[str, ...]] = ("joint_torque",)

    joints: tuple[str, ...] = param(default=(".*",))
    """Joints to observe."""
    selected: Joints = scratch()

    def bind(self, scene: Scene) -> None:
        """Resolve the joints. Raises NameProblem."""
        self.selected = select_joints(scene, self.joints)

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, joints] N m."""
        return scene.robot.joint_torque[:, self.selected.columns]

    def mirror(self) -> Mirror:
        """Return the mirror of the joints."""
        return self.selected.mirror


@component
class PreviousActions:
    """The last raw actions, newest first."""

    sensors: ClassVar[tuple[str, ...]] = ()

    count: int = param(default=3, validator=between(1, 3))
    """Number of actions, 1 to 3."""
    joints: tuple[str, ...] = param(default=(".*",))
    """Joints of the action, as in `[action] joints`; needed for its mirror."""
    reflection: Mirror = scratch()
    names: tuple[str, ...] = scratch()

    def bind(self, scene: Scene) -> None:
        """Resolve the joints. Raises NameProblem if their number differs from the action's."""
        mirror = joint_mirror(scene.model, self.joints)
        if mirror.width != scene.action.shape[-1]:
            raise NameProblem(
                f"{mirror.width} joints, but the action has {scene.action.shape[-1]}: set 'joints' as in [action]"
            )
        self.reflection = mirror.repeat(self.count)
        self.names = select_joints(scene, self.joints).names

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, count * A]."""
        earlier = scene.previous_actions[:, : self.count - 1]
        return torch.cat((scene.action, earlier.flatten(1)), dim=-1)

    def robot_term(self) -> RobotTerm:
        """Return how a robot computes it."""
        columns = [f"{back + 1} back.{name}" for back in range(self.count) for name in self.names]
        return RobotTerm(kind="previous_actions", columns=columns, unit="", parameters={"count": self.count})

    def mirror(self) -> Mirror:
        """Return the mirror of the actions."""
        return self.reflection


@component
class ProjectedGravity:
    """Direction of gravity in the root frame; noise keeps it a unit vector."""

    sensors: ClassVar[tuple[str, ...]] = ("imu",)

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, 3]."""
        return scene.robot.projected_gravity

    def disturb(self, value: Tensor, scene: Scene, noise: Noise) -> Tensor:
        """Return the value with noise, [n, 3], of length 1 again."""
        return torch.nn.functional.normalize(value + noise(value.shape), dim=-1)

    def robot_term(self) -> RobotTerm:
        """Return how a robot computes it."""
        return RobotTerm(kind="projected_gravity", columns=XYZ, unit="", frame="root")

    def mirror(self) -> Mirror:
        """Return the mirror of a vector."""
        return Mirror.vector()


@component
class RootLinVel:
    """Linear velocity of the root in its own frame [m/s]."""

    sensors: ClassVar[tuple[str, ...]] = ("root_velocity",)

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, 3] m/s."""
        return scene.robot.root_lin_vel_root

    def robot_term(self) -> RobotTerm:
        """Return how a robot computes it."""
        return RobotTerm(kind="root_lin_vel", columns=XYZ, unit="m/s", frame="root")

    def mirror(self) -> Mirror:
        """Return the mirror of a vector."""
        return Mirror.vector()


@component
class RootAngVel:
    """Angular velocity of the root in its own frame, as a gyroscope measures it [rad/s]."""

    sensors: ClassVar[tuple[str, ...]] = ("imu",)

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, 3] rad/s."""
        return scene.robot.root_ang_vel_root

    def robot_term(self) -> RobotTerm:
        """Return how a robot computes it."""
        return RobotTerm(kind="root_ang_vel", columns=XYZ, unit="rad/s", frame="root")

    def mirror(self) -> Mirror:
        """Return the mirror of an axial vector."""
        return Mirror.pseudovector()


@component
class BootIndicator:
    """Falls linearly from 1 at the reset to 0, so that the policy knows that its histories are still short."""

    sensors: ClassVar[tuple[str, ...]] = ()

    duration: float = param(default=0.5, validator=positive)
    """Time until the value is 0 [s]."""

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, 1] in [0, 1]."""
        return (1.0 - scene.episode_step.unsqueeze(-1) * (scene.dt / self.duration)).clamp_(min=0.0)

    def robot_term(self) -> RobotTerm:
        """Return how a robot computes it."""
        return RobotTerm(kind="boot_indicator", columns=["boot"], unit="", parameters={"duration_s": self.duration})

    def mirror(self) -> Mirror:
        """Return the mirror of a number."""
        return Mirror.scalar()
