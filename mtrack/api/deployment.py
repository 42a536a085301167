"""What components say about themselves so that a policy can run on a robot, without this simulation.

`mtrack export` writes it to policy.json, and the robot's runtime (`mtrack_deploy`) computes the same from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import attrs
from torch import Tensor


@attrs.frozen(kw_only=True)
class RobotTerm:
    """How a robot computes one observation from its sensors and the reference."""

    kind: str
    """Name of the computation in the robot's runtime: a function in `mtrack_deploy.terms`, or one of its plugins."""
    columns: Sequence[str]
    """Name of each column of the present value."""
    unit: str
    """SI unit of the columns; empty for plain numbers."""
    frame: str = ""
    """Frame of the columns, e.g. `root`; empty if they have none."""
    parameters: Mapping[str, Any] = attrs.field(factory=dict)
    """JSON-able arguments of the computation."""


@attrs.frozen(kw_only=True)
class RobotAction:
    """How a robot turns raw actions into joint position targets, as `joint_position` does."""

    mode: str
    """`default_relative` (the action is added to the default pose) or `reference_residual` (to the reference's)."""
    joints: Sequence[str]
    """Joint of each column of the action, A of them."""
    scale: Sequence[float]
    """Angle for an action of 1 [rad], A of them."""
    offset: Sequence[float]
    """Pose that the scaled action is added to [rad], A of them; zeros if it is the reference's pose."""
    velocity_feedforward: Sequence[float]
    """Times the reference's joint velocity, this is added to the target [s], one for each joint; zeros if unused."""
    clip: float
    """Bound of the raw action."""
    filter_alpha: float
    """Coefficient of the low-pass filter in each physics step."""
    boot_hold: int
    """Physics steps after the start in which the joints hold their pose."""
    max_delay: int
    """Longest delay with which the policy was trained [physics steps]."""


@attrs.frozen(kw_only=True)
class ReferenceClip:
    """The frames of a clip that a robot follows, T of them at the control rate."""

    name: str
    """Name of the clip in its library."""
    sha256: str
    """Content hash of the motion that the clip was made from."""
    root_pos: Tensor
    """[T, 3] m."""
    root_quat_wxyz: Tensor
    """[T, 4]."""
    joint_pos: Tensor
    """[T, J] rad."""
    joint_vel: Tensor
    """[T, J] rad/s."""


@runtime_checkable
class ComputedOnRobot(Protocol):
    """An observation that a robot's runtime can compute. Without it, a policy that reads it cannot be exported."""

    def robot_term(self) -> RobotTerm:
        """Return how. It is called after `bind`."""


@runtime_checkable
class AppliedOnRobot(Protocol):
    """An action that a robot's runtime can apply. Without it, a policy cannot be exported."""

    def robot_action(self) -> RobotAction:
        """Return how. It is called after `bind`."""


@runtime_checkable
class GivesReference(Protocol):
    """A command whose reference is a motion that a robot's runtime can play. Without it, a policy cannot be exported.

    At the end of a clip the reference is its last frame at rest.
    """

    future_frames: Sequence[int]
    """Frames that the reference shows [frames from now]; the first is 0."""

    def reference_clip(self, number: int) -> ReferenceClip:
        """Return a clip by its index in `PlaysClips.clip_frames`, on the CPU."""
