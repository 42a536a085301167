"""What the robot feels of itself: joints, root, actions, feet."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrack.errors import NameProblem
from mtrack.exchange import Noise, Requirements
from mtrack.fields import component, param, positive, scratch
from mtrack.mirror import Mirror
from mtrack.robot import RobotModel
from mtrack.scene import Scene
from mtrack_body.feet import weight
from mtrack_body.names import Joints, body_columns, contact_columns, joint_mirror, select_joints, touches


@component
class JointPos:
    """Joint positions, as the encoders read them or true [rad]."""

    joints: tuple[str, ...] = param(default=(".*",))
    """Joints to observe."""
    measured: bool = param(default=True)
    """Whether as the encoders read them, shifted by their calibration error; otherwise the true positions."""
    selected: Joints = scratch()

    def bind(self, scene: Scene) -> None:
        """Resolve the joints. Raises NameProblem."""
        self.selected = select_joints(scene, self.joints)

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, joints] rad."""
        robot = scene.robot
        joint_pos = robot.joint_pos - robot.joint_offset if self.measured else robot.joint_pos
        return joint_pos[:, self.selected.columns]

    def mirror(self) -> Mirror:
        """Return the mirror of the joints."""
        return self.selected.mirror


@component
class JointVel:
    """Joint velocities [rad/s]."""

    joints: tuple[str, ...] = param(default=(".*",))
    """Joints to observe."""
    selected: Joints = scratch()

    def bind(self, scene: Scene) -> None:
        """Resolve the joints. Raises NameProblem."""
        self.selected = select_joints(scene, self.joints)

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, joints] rad/s."""
        return scene.robot.joint_vel[:, self.selected.columns]

    def mirror(self) -> Mirror:
        """Return the mirror of the joints."""
        return self.selected.mirror


@component
class AppliedTarget:
    """Position targets of the last substep: after delay and filter [rad]."""

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
    """The last three raw actions, newest first."""

    joints: tuple[str, ...] = param(default=(".*",))
    """Joints of the action, as in `[action] joints`: they say how it mirrors."""
    reflection: Mirror = scratch()

    def bind(self, scene: Scene) -> None:
        """Resolve the joints. Raises NameProblem where they are not as many as the action's."""
        mirror = joint_mirror(scene.model, self.joints)
        if mirror.width != scene.action.shape[-1]:
            raise NameProblem(
                f"{mirror.width} joints, but the action has {scene.action.shape[-1]}: set 'joints' as in [action]"
            )
        self.reflection = mirror.repeat(1 + scene.previous_actions.shape[1])

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, 3 actions]."""
        return torch.cat((scene.action, scene.previous_actions.flatten(1)), dim=-1)

    def mirror(self) -> Mirror:
        """Return the mirror of the actions."""
        return self.reflection


@component
class ProjectedGravity:
    """Direction of gravity in the root frame; noise keeps it a unit vector."""

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, 3]."""
        return scene.robot.projected_gravity

    def disturb(self, value: Tensor, scene: Scene, noise: Noise) -> Tensor:
        """Return the value with noise, [n, 3], of length 1 again."""
        return torch.nn.functional.normalize(value + noise(value.shape), dim=-1)

    def mirror(self) -> Mirror:
        """Return the mirror of a vector."""
        return Mirror.vector()


@component
class RootLinVel:
    """Linear velocity of the root in its own frame [m/s]."""

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, 3] m/s."""
        return scene.robot.root_lin_vel_root

    def mirror(self) -> Mirror:
        """Return the mirror of a vector."""
        return Mirror.vector()


@component
class RootAngVel:
    """Angular velocity of the root in its own frame, as its gyroscope reads it [rad/s]."""

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, 3] rad/s."""
        return scene.robot.root_ang_vel_root

    def mirror(self) -> Mirror:
        """Return the mirror of an axial vector."""
        return Mirror.pseudovector()


@component
class BootIndicator:
    """1 at the reset, falling linearly to 0: tells the policy that its histories are still short."""

    duration: float = param(default=0.5, validator=positive)
    """Time until it is 0 [s]."""

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, 1] in [0, 1]."""
        return (1.0 - scene.episode_step.unsqueeze(-1) * (scene.dt / self.duration)).clamp_(min=0.0)

    def mirror(self) -> Mirror:
        """Return the mirror of a number."""
        return Mirror.scalar()


@component
class BodyHeight:
    """Heights of bodies above the floor plane [m]."""

    bodies: tuple[str, ...] = param(default=("root", "feet", "torso"))
    """Bodies to observe: names or sets."""
    columns: Tensor = scratch()
    reflection: Mirror = scratch()

    def bind(self, scene: Scene) -> None:
        """Resolve the bodies. Raises NameProblem."""
        self.columns = body_columns(scene, self.bodies, entries=(2,))
        self.reflection = scene.model.body_mirror(scene.model.bodies(self.bodies), Mirror.scalar())

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, bodies] m."""
        return scene.robot.body_pos.flatten(1).index_select(1, self.columns)

    def mirror(self) -> Mirror:
        """Return the mirror of the bodies: they change sides."""
        return self.reflection


@component
class FootContact:
    """For each foot its contact force in weights of the robot, in the root frame, whether and how long it stands."""

    feet: tuple[str, ...] = param(default=("feet",))
    """Bodies to observe: names or sets."""
    max_force: float = param(default=10.0, validator=positive)
    """Bound of each component of the force [weights of the robot]."""
    columns: Tensor = scratch()
    reflection: Mirror = scratch()

    def requires(self, robot: RobotModel) -> Requirements:
        """Ask for the feet's contacts."""
        return touches(robot, self.feet)

    def bind(self, scene: Scene) -> None:
        """Resolve the feet. Raises NameProblem."""
        self.columns = (
            6 * contact_columns(scene, self.feet).unsqueeze(-1) + torch.arange(6, device=scene.device)
        ).flatten()
        partners = scene.model.partners(scene.model.expand(self.feet))
        self.reflection = Mirror.swap(partners, Mirror.cat([Mirror.vector(), Mirror.scalar(3)]))

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, 6 feet]: force (3), in contact, contact time [s], air time [s]."""
        contacts = scene.contacts
        force = (contacts.force @ scene.robot.root_rot).mul_(1.0 / weight(scene.model))
        state = torch.stack((contacts.in_contact, contacts.contact_time, contacts.air_time), dim=-1)
        every = torch.cat((force.clamp_(-self.max_force, self.max_force), state), dim=-1)
        return every.flatten(1).index_select(1, self.columns)

    def mirror(self) -> Mirror:
        """Return the mirror of the feet: they change sides."""
        return self.reflection
