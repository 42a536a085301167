"""What passes between the kernel and components: requests, plans, start states, clips, shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import attrs
from torch import Tensor

from mtrack.mirror import Mirror

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
    model_fields: tuple[str, ...] = ()
    """Fields of `mujoco.MjModel` this component gives a value of its own in each environment."""
    forces: bool = False
    """Whether it applies external forces (`Backend.wrench`)."""


@attrs.frozen
class PhysicsPlan:
    """All requirements together, as the backend gets them."""

    num_envs: int
    physics_dt: float
    device: str
    contacts: tuple[ContactSensor, ...] = ()
    """One concrete body each (named sets already taken apart), without duplicates."""
    model_fields: tuple[str, ...] = ()
    forces: bool = False


@attrs.frozen(eq=False)
class StartState:
    """State of n rows at their reset; world axes, velocities of the root link's origin."""

    root_pos: Tensor
    root_quat_wxyz: Tensor
    root_lin_vel: Tensor
    root_ang_vel: Tensor
    joint_pos: Tensor
    joint_vel: Tensor


@attrs.frozen(eq=False)
class Clip:
    """One motion of one robot, without velocities: those are derived with the robot's kinematics."""

    name: str
    fps: float
    joint_names: tuple[str, ...]
    root_pos: NDArray[np.float32]
    """[T, 3] m."""
    root_quat_wxyz: NDArray[np.float32]
    """[T, 4]."""
    joint_pos: NDArray[np.float32]
    """[T, len(joint_names)] rad."""
    source: str = ""
    licence: str = ""
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
    action_names: tuple[str, ...]
    action_mirror: Mirror | None
    device: str
    seed: int
    """Seed of the network initialisation."""
    unmirrored: tuple[str, ...] = ()
    """Recipe paths of the observation terms that have no mirror."""
