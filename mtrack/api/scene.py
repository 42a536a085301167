"""The scene: what components see of N environments. Components must not write to it.

Tensors are float32 in SI units. Positions and velocities are those of link origins in world axes, unless a docstring
says otherwise. Each tensor keeps its storage, so `bind` may keep views; only `reference` and `extras` are replaced.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import attrs
import torch
from torch import Tensor

from mtrack.api.cached_tensors import CachedTensors, derived
from mtrack.api.robot import RobotModel
from mtrack.errors import NameProblem
from mtrack.math import quat_to_matrix, transform

if TYPE_CHECKING:
    from mtrack.api.protocols import Backend, Command


@attrs.define(eq=False, slots=False, kw_only=True)
class Kinematics(CachedTensors):
    """Poses and velocities of a robot: J joints and B bodies, as in `RobotModel`; `...` stands for N or N, S."""

    root_pos: Tensor
    """[..., 3] m."""
    root_quat_wxyz: Tensor
    """[..., 4] unit quaternion, w first."""
    root_lin_vel: Tensor
    """[..., 3] m/s, world axes, of the origin of the root link."""
    root_ang_vel: Tensor
    """[..., 3] rad/s, world axes."""
    joint_pos: Tensor
    """[..., J] rad."""
    joint_vel: Tensor
    """[..., J] rad/s."""
    body_pos: Tensor
    """[..., B, 3] m."""
    body_quat_wxyz: Tensor
    """[..., B, 4] unit quaternion, w first."""
    body_lin_vel: Tensor
    """[..., B, 3] m/s, world axes, of link origins."""
    body_ang_vel: Tensor
    """[..., B, 3] rad/s, world axes."""

    def replace(self, **tensors: Tensor) -> Kinematics:
        """Return kinematics with some tensors replaced, e.g. `root_pos`, which share all others with this one."""
        names = [field.name for field in attrs.fields(Kinematics) if field.name != "cache"]
        values: dict[str, Any] = {name: getattr(self, name) for name in names if name not in tensors}
        return Kinematics(**{**values, **tensors})

    @derived
    def root_rot(self) -> Tensor:
        """Rotation matrix of the root, [..., 3, 3]."""
        return quat_to_matrix(self.root_quat_wxyz)

    @derived
    def body_rot(self) -> Tensor:
        """Rotation matrices of the bodies, [..., B, 3, 3]."""
        return quat_to_matrix(self.body_quat_wxyz)

    @derived
    def projected_gravity(self) -> Tensor:
        """Direction of gravity in the root frame, [..., 3]."""
        return -self.root_rot[..., 2, :]

    @derived
    def root_lin_vel_root(self) -> Tensor:
        """Linear velocity of the root in its own frame, [..., 3] m/s."""
        return _into_root(self.root_rot, self.root_lin_vel)

    @derived
    def root_ang_vel_root(self) -> Tensor:
        """Angular velocity of the root in its own frame, [..., 3] rad/s."""
        return _into_root(self.root_rot, self.root_ang_vel)

    @derived
    def body_root(self) -> Tensor:
        """Six vectors of each body relative to the root, in the root frame, [..., 3 axes, 6 quantities, B].

        The quantities are: position minus that of the root [m], linear velocity minus that of the root, without an
        omega x r term [m/s], angular velocity minus that of the root [rad/s], and the three columns of the rotation
        matrix. One large product over all of them is much faster than a small one for each.
        """
        world = self.body_pos.new_empty(*self.root_pos.shape, 6, self.body_pos.shape[-2])
        torch.sub(self.body_pos.mT, self.root_pos.unsqueeze(-1), out=world[..., 0, :])
        torch.sub(self.body_lin_vel.mT, self.root_lin_vel.unsqueeze(-1), out=world[..., 1, :])
        torch.sub(self.body_ang_vel.mT, self.root_ang_vel.unsqueeze(-1), out=world[..., 2, :])
        world[..., 3:, :] = self.body_rot.movedim(-3, -1)
        return transform(self.root_rot.mT, world.flatten(-2)).view(world.shape)

    @derived
    def body_pos_root(self) -> Tensor:
        """Positions of the bodies in the root frame, [..., B, 3] m."""
        return self.body_root[..., 0, :].mT

    @derived
    def body_lin_vel_root(self) -> Tensor:
        """(v_body - v_root) rotated into the root frame, without an omega x r term, [..., B, 3] m/s."""
        return self.body_root[..., 1, :].mT

    @derived
    def body_ang_vel_root(self) -> Tensor:
        """(omega_body - omega_root) rotated into the root frame, [..., B, 3] rad/s."""
        return self.body_root[..., 2, :].mT

    @derived
    def body_rot_root(self) -> Tensor:
        """Rotation matrices of the bodies relative to the root, [..., B, 3, 3]."""
        return self.body_root[..., 3:, :].movedim(-1, -3)


def _into_root(root_rot: Tensor, vector: Tensor) -> Tensor:
    return (vector.unsqueeze(-2) @ root_rot).squeeze(-2)


@attrs.define(eq=False, slots=False, kw_only=True)
class RobotState(Kinematics):
    """The simulated robot: its kinematics, torques and targets."""

    joint_acc: Tensor
    """[N, J] rad/s^2, of the last substep."""
    joint_torque: Tensor
    """[N, J] N m, of the last substep, after the effort limits."""
    joint_target: Tensor
    """[N, J] rad, position target of the last substep."""
    joint_offset: Tensor
    """[N, J] rad, calibration error: encoders read joint_pos - joint_offset, and targets are shifted likewise."""


@attrs.define(eq=False, slots=False, kw_only=True)
class Reference(Kinematics):
    """The motion to follow, published by the command.

    Its own kinematics are the goal of this step: rewards and terminations compare the robot with them. `future` is the
    recorded motion that policies observe. Both are the same motion unless a randomization changes the goal
    (`mtrack.api.abilities.ChangesGoal`).
    """

    contact: Tensor
    """[N, F] 1 if a foot of the reference is in contact with the floor, else 0."""
    future: Kinematics
    """[N, S, ...] the recorded motion at S frames from now on; the first is the current frame."""


@attrs.define(eq=False, slots=False, kw_only=True)
class Contacts(CachedTensors):
    """Contacts of the C sensors that components requested (`Requirements.contacts`)."""

    names: tuple[str, ...] = ()
    """Name of each sensor (`ContactSensor.name`), in the order of the columns."""
    force: Tensor
    """[N, C, 3] N, net force on the body, world axes, mean over the last 3 substeps."""
    in_contact: Tensor
    """bool [N, C], whether contact was found in at least 2 of the last 4 substeps."""
    count: Tensor
    """[N, C] number of contact points in the last substep."""
    contact_time: Tensor
    """[N, C] s since contact began; 0 in the air."""
    air_time: Tensor
    """[N, C] s since contact ended; 0 in contact."""
    last_air_time: Tensor
    """[N, C] s, duration of the flight before the last landing."""
    first_contact: Tensor
    """bool [N, C], whether contact began in this step."""

    def columns(self, bodies: Sequence[str], against: str = "") -> Tensor:
        """Return the column of each body's sensor, int64 [len(bodies)]; `against` is that of the request."""
        suffix = f":{against}" if against else ""
        return torch.tensor([self.names.index(body + suffix) for body in bodies], device=self.force.device)


@attrs.define(eq=False, slots=False, kw_only=True)
class Scene(CachedTensors):
    """Everything that components see of N environments."""

    model: RobotModel
    """Names and constants of the robot."""
    backend: Backend
    """The physics engine. Randomizations write to its model fields, forces and velocities."""
    robot: RobotState
    """State of the simulated robot."""
    reference: Reference
    """Motion to follow."""
    contacts: Contacts
    """Contacts that components requested."""
    action: Tensor
    """[N, A] last action, as `Action.apply` returned it; 0 after a reset."""
    previous_actions: Tensor
    """[N, 2, A] the two actions before it, newest first."""
    episode_step: Tensor
    """int64 [N] control steps since the reset."""
    env_ids: Tensor = attrs.Factory(lambda self: torch.arange(self.num_envs, device=self.device), takes_self=True)
    """int64 [N] indices of these environments in the backend; all, unless `select` restricted the scene."""
    dt: float
    """Duration of a control step [s]."""
    physics_dt: float
    """Duration of a physics substep [s]."""
    command: Command | None = None
    """The command that publishes `reference`; None only in a scene without a task."""
    extras: dict[str, Tensor] = attrs.field(factory=dict)
    """Further tensors [N, ...] by name, which the command or a randomization publishes; read them with `extra`."""
    progress: float = 0.0
    """Completed share of the current phase, in [0, 1)."""
    phase: str = ""
    """Slot name of the current phase."""

    def extra(self, name: str) -> Tensor:
        """Return a tensor of `extras`, [N, ...]. Raises NameProblem if no component publishes it.

        A component that calls this in `bind` too reports a missing tensor before the run starts.
        """
        if name not in self.extras:
            published = ", ".join(f"'{known}'" for known in sorted(self.extras)) or "nothing"
            raise NameProblem(
                f"the command {type(self.command).__name__} does not publish '{name}' in scene.extras, and neither "
                f"does a randomization; published: {published}",
                name,
            )
        return self.extras[name]

    @property
    def num_envs(self) -> int:
        """Number of environments, N."""
        return self.episode_step.shape[0]

    @property
    def device(self) -> torch.device:
        """Device of the tensors."""
        return self.episode_step.device

    @property
    def decimation(self) -> int:
        """Number of physics substeps in a control step."""
        return round(self.dt / self.physics_dt)
