"""What passes between the kernel and components: requests, plans, start states, clips, shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import attrs
from torch import Tensor

from mtrack.api.mirror import Mirror

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Noise = Callable[[Sequence[int]], Tensor]
"""Draws noise of a shape: the slot's `noise` times a standard normal clipped to +-3."""


@attrs.frozen
class ContactSensor:
    """A request for the contacts of one body (or of a named set, one sensor each)."""

    body: str
    """Body or named set of bodies whose contacts are wanted."""
    against: str = ""
    """`floor`, `self`, or empty for anything."""

    @property
    def name(self) -> str:
        """Name of the sensor: the body, and what it touches where that is restricted."""
        return f"{self.body}:{self.against}" if self.against else self.body


@attrs.frozen
class Requirements:
    """What a component needs built into the simulation."""

    contacts: tuple[ContactSensor, ...] = ()
    """Contacts that it reads."""
    model_fields: tuple[str, ...] = ()
    """Fields of `mujoco.MjModel` this component gives a value of its own in each environment."""
    forces: bool = False
    """Whether it applies external forces (`Backend.wrench`)."""


@attrs.frozen
class PhysicsPlan:
    """All requirements together, as the backend gets them."""

    num_envs: int
    """Number of environments, N."""
    physics_dt: float
    """Physics substep [s]."""
    device: str
    """Where tensors live: `cpu`, `cuda`, `cuda:1`."""
    contacts: tuple[ContactSensor, ...] = ()
    """One concrete body each (named sets already taken apart), without duplicates."""
    model_fields: tuple[str, ...] = ()
    """Fields of the model that have a value of their own in each environment."""
    forces: bool = False
    """Whether a component applies external forces."""


@attrs.frozen(eq=False)
class StartState:
    """State of n envs at their reset, float32; world axes, velocities of the root link's origin."""

    root_pos: Tensor
    """[n, 3] m."""
    root_quat_wxyz: Tensor
    """[n, 4] unit quaternion, w first."""
    root_lin_vel: Tensor
    """[n, 3] m/s."""
    root_ang_vel: Tensor
    """[n, 3] rad/s."""
    joint_pos: Tensor
    """[n, J] rad, in the order of `RobotModel.joint_names`."""
    joint_vel: Tensor
    """[n, J] rad/s."""


@attrs.frozen(eq=False)
class Clip:
    """One motion of one robot, without velocities: those are derived with the robot's kinematics."""

    name: str
    """One line of text, different from that of every other clip of the source."""
    fps: float
    """Frames a second, 1 to 1000."""
    joint_names: tuple[str, ...]
    """Of the columns of `joint_pos`, in any order; all of the robot's, further ones are ignored."""
    root_pos: NDArray[np.float32]
    """[T, 3] m, world axes, z up."""
    root_quat_wxyz: NDArray[np.float32]
    """[T, 4] unit quaternion, w first."""
    joint_pos: NDArray[np.float32]
    """[T, len(joint_names)] rad."""
    source: str = ""
    """Where it is from, for the record."""
    licence: str = ""
    """Under which licence, for the record."""
    identity: str = ""
    """Of a clip that is computed: a hash of what it is computed from, since another processor rounds its numbers
    otherwise. Empty for a clip that was read: it is known by its content."""


@attrs.frozen(eq=False)
class Layout:
    """Shapes an agent is built for."""

    observations: Mapping[str, int]
    """Width of each observation group."""
    mirrors: Mapping[str, Mirror | None]
    """Mirror of each observation group; None where a term of it has none."""
    num_actions: int
    """Width of an action, A."""
    action_names: tuple[str, ...]
    """Name of each column of an action."""
    action_mirror: Mirror | None
    """How an action [.., A] mirrors."""
    device: str
    """Where tensors live."""
    seed: int
    """Seed of the network initialisation."""
    unmirrored: tuple[str, ...] = ()
    """Recipe paths of the observation terms that have no mirror."""
