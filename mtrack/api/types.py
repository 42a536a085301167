"""Types that the kernel and components exchange: requirements, start states, clips, skeletons and layouts."""

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
"""Draws noise of a shape: the `noise` of the slot times a standard normal number, clipped to 3 standard deviations."""


@attrs.frozen
class ContactSensor:
    """A request for the contacts of a body, or of each body of a named set."""

    body: str
    """Name of a body or of a set of bodies."""
    against: str = ""
    """What it touches: `floor`, `self`, or empty for anything."""

    @property
    def name(self) -> str:
        """Name of the sensor: `BODY`, or `BODY:AGAINST` if `against` is set."""
        return f"{self.body}:{self.against}" if self.against else self.body


@attrs.frozen
class Requirements:
    """What a component needs from the simulation."""

    contacts: tuple[ContactSensor, ...] = ()
    """Contact sensors that it reads."""
    model_fields: tuple[str, ...] = ()
    """Fields of `mujoco.MjModel` that it sets in each environment, e.g. `body_mass`."""
    forces: bool = False
    """Whether it applies external forces (`Backend.wrench`)."""


@attrs.frozen
class PhysicsPlan:
    """What a backend must provide: the size of the simulation, and the requirements of all components."""

    num_envs: int
    """Number of environments, N."""
    physics_dt: float
    """Duration of a physics substep [s]."""
    device: str
    """Device of the tensors: `cpu`, `cuda`, `cuda:1`."""
    contacts: tuple[ContactSensor, ...] = ()
    """Contact sensors of one body each, without duplicates; named sets have been replaced by their bodies."""
    model_fields: tuple[str, ...] = ()
    """Model fields that have an own value in each environment."""
    forces: bool = False
    """Whether a component applies external forces."""


@attrs.frozen(eq=False)
class StartState:
    """State of n environments at the start of an episode, float32, world axes; velocities of the root link origin."""

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
    """One motion of one robot. It has no velocities, because they are derived from the poses."""

    name: str
    """One line of text, unique within the source."""
    fps: float
    """Frames per second, 1 to 1000."""
    joint_names: tuple[str, ...]
    """Joint of each column of `joint_pos`, in any order: all joints of the robot; others are ignored."""
    root_pos: NDArray[np.float32]
    """[T, 3] m, world axes, z up."""
    root_quat_wxyz: NDArray[np.float32]
    """[T, 4] unit quaternion, w first."""
    joint_pos: NDArray[np.float32]
    """[T, len(joint_names)] rad."""
    source: str = ""
    """Origin of the motion, for the record."""
    licence: str = ""
    """Licence of the motion, for the record."""
    identity: str = ""
    """Hash of the inputs of a generated clip, because its numbers are rounded differently on other CPUs.

    Empty for a clip that was read from a file, which is identified by its content.
    """


@attrs.frozen(eq=False)
class SkeletonMotion:
    """One motion of a person's skeleton, as the file has it: in its own unit and axes, under its own names."""

    name: str
    """One line of text, unique within the file."""
    fps: float | None
    """Frames per second; None if the file does not say."""
    joint_names: tuple[str, ...]
    """Name of each of the K joints, unique. A joint is a point where bones meet, or the end of the last bone."""
    pos: NDArray[np.float64]
    """[T, K, 3] position of each joint."""
    parents: tuple[int, ...] = ()
    """Index of the parent of each joint, -1 for a root; empty if the file has no tree."""
    rest_pos: NDArray[np.float64] | None = None
    """[K, 3] position of each joint in the skeleton's rest pose, e.g. a T-pose; None if unknown."""
    unit_m: float | None = None
    """Length of the unit of `pos` [m]; None if the format does not define it."""
    up: str = ""
    """The axis that points up, `y` or `z`; empty if the format does not define it."""
    source: str = ""
    """Origin of the motion, for the record."""
    licence: str = ""
    """Licence of the motion, for the record."""


@attrs.frozen(eq=False)
class Layout:
    """Observations and actions that an agent is built for."""

    observations: Mapping[str, int]
    """Width of each observation group."""
    mirrors: Mapping[str, Mirror | None]
    """Mirror of each observation group; None if one of its terms has no mirror."""
    num_actions: int
    """Width of an action, A."""
    action_names: tuple[str, ...]
    """Name of each column of an action."""
    action_mirror: Mirror | None
    """Mirror of an action, [..., A]."""
    device: str
    """Device of the tensors."""
    seed: int
    """Seed for the initialisation of networks."""
    unmirrored: tuple[str, ...] = ()
    """Recipe paths of observation terms without a mirror."""
