"""What components see: robot, reference, contacts and counters of N environments, read-only.

float32, SI units, world axes, link origins. Every tensor keeps its storage for the life of an environment except those
of `reference` and `extras`, which may be replaced in each step.
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
    """Pose and velocity of a robot: J joints, B bodies (`RobotModel.body_names`). Leading dimensions [N] or [N, S]."""

    root_pos: Tensor
    """[..., 3] m."""
    root_quat_wxyz: Tensor
    """[..., 4]."""
    root_lin_vel: Tensor
    """[..., 3] m/s, world axes, of the root link's origin."""
    root_ang_vel: Tensor
    """[..., 3] rad/s, world axes."""
    joint_pos: Tensor
    """[..., J] rad."""
    joint_vel: Tensor
    """[..., J] rad/s."""
    body_pos: Tensor
    """[..., B, 3] m."""
    body_quat_wxyz: Tensor
    """[..., B, 4]."""
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
        """All bodies seen from the root in one product, [..., axis 3, quantity 6, B], all in the root frame.

        Quantities: position less the root's [m], linear velocity less the root's, without an omega x r term [m/s],
        angular velocity less the root's [rad/s], and the three columns of the rotation matrix. Bodies come last, and
        quantities together, because that is far cheaper than a small product for each.
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
    """The simulated robot: its kinematics, and what drives it."""

    joint_acc: Tensor
    """[N, J] rad/s^2, of the last substep."""
    joint_torque: Tensor
    """[N, J] N m, of the last substep, after the effort limits."""
    joint_target: Tensor
    """[N, J] rad, the position target applied in the last substep."""
    joint_offset: Tensor
    """[N, J] rad, calibration error: an encoder reads joint_pos - joint_offset; targets are shifted by it too."""


@attrs.define(eq=False, slots=False, kw_only=True)
class Reference(Kinematics):
    """The motion to follow; published by the command.

    Its present quantities are the goal: rewards and terminations compare the robot with them. `future` is what the
    policy observes, from the present frame on. Both are the same motion unless a randomization changes the goal
    (`mtrack.api.abilities.ChangesGoal`).
    """

    contact: Tensor
    """[N, F] 1 where a foot of the reference stands, 0 where not, float."""
    future: Kinematics
    """The motion as it was recorded at S frames from now on, [N, S, ...]; slot 0 is the present frame."""


@attrs.define(eq=False, slots=False, kw_only=True)
class Contacts(CachedTensors):
    """Contacts of the C sensors the components asked for, in the order of `names`."""

    names: tuple[str, ...] = ()
    force: Tensor
    """[N, C, 3] N, world axes, mean over the last 3 substeps."""
    in_contact: Tensor
    """bool [N, C], found in at least 2 of the last 4 substeps."""
    count: Tensor
    """[N, C] number of contact points in the last substep."""
    contact_time: Tensor
    """[N, C] s since contact began, 0 in the air."""
    air_time: Tensor
    """[N, C] s since contact ended, 0 in contact."""
    last_air_time: Tensor
    """[N, C] s the contact just begun was preceded by; kept until the next landing."""
    first_contact: Tensor
    """bool [N, C], contact began in this step."""

    def columns(self, bodies: Sequence[str], against: str = "") -> Tensor:
        """Return the columns of the sensors of bodies, int64 [len(bodies)]; for `bind`."""
        suffix = f":{against}" if against else ""
        return torch.tensor([self.names.index(body + suffix) for body in bodies], device=self.force.device)


@attrs.define(eq=False, slots=False, kw_only=True)
class Scene(CachedTensors):
    """Everything a component may look at, N environments."""

    model: RobotModel
    """Names, default pose, limits and mirror of the robot."""
    backend: Backend
    """The physics; randomizations write its model fields, forces and velocities."""
    robot: RobotState
    reference: Reference
    contacts: Contacts
    action: Tensor
    """[N, A] the newest raw action."""
    previous_actions: Tensor
    """[N, 2, A] the two before it, newest first."""
    episode_step: Tensor
    """int64 [N] steps since the row's reset."""
    env_ids: Tensor = attrs.Factory(lambda self: torch.arange(self.num_envs, device=self.device), takes_self=True)
    """int64 [N] which environments of the backend these rows are: all of them, unless `rows` restricted the scene."""
    dt: float
    """Control step [s]."""
    physics_dt: float
    """Physics substep [s]."""
    command: Command | None = None
    """What publishes `reference`; None only in a scene that was made without a task."""
    extras: dict[str, Tensor] = attrs.field(factory=dict)
    """Named tensors [N, ...] that the command or a randomization publishes for other components; see `extra`."""
    progress: float = 0.0
    """Share of the present phase's frames done, in [0, 1)."""
    phase: str = ""
    """Slot name of the present phase."""

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
        """Where the tensors live."""
        return self.episode_step.device

    @property
    def decimation(self) -> int:
        """Physics substeps in a control step."""
        return round(self.dt / self.physics_dt)
