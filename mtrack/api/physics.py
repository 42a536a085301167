"""The contracts of a robot and of a physics backend; `mtrack.api.protocols` has those of all other kinds.

Tensors are float32 on the device of the plan unless a docstring says otherwise: N environments, J joints, B bodies,
C contact sensors. `env_ids` are indices of environments, int64 [n], without duplicates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from torch import Tensor

from mtrack.api.robot import RobotModel
from mtrack.api.types import PhysicsPlan, StartState

if TYPE_CHECKING:
    import mujoco

    from mtrack.api.recorded_step import RecordedStep, Replay
    from mtrack.api.scene import RobotState

LARGEST_STATE = 1e4
"""No position [m, rad] or velocity [m/s, rad/s] of a simulation is as large as this unless it has diverged."""


class Robot(Protocol):
    """A robot: its names and constants, and its MuJoCo description if a MuJoCo backend simulates it."""

    def model(self) -> RobotModel:
        """Return the names, default pose, limits and mirror of the robot."""

    def spec(self) -> mujoco.MjSpec:
        """Return a new description with floor, joints and position actuators; the backend adds its sensors to it."""


class Backend(Protocol):
    """A physics engine that steps N copies of one robot together."""

    state: RobotState
    """State of the robots, [N, ...]. `refresh` updates these tensors in place."""
    contact_names: tuple[str, ...]
    """Name of each contact sensor (`ContactSensor.name`), C of them."""
    contacts: Tensor
    """[N, C, 4] of the last substep: number of contact points, then the net force on the body [N], world axes."""
    wrench: Tensor
    """[N, B, 6] force [N] and torque [N m] on each body at its origin, world axes; applied until it is changed."""

    def build(self, robot: Robot, plan: PhysicsPlan) -> None:
        """Compile the robot and allocate `plan.num_envs` environments in its default pose.

        Raises NameProblem, with the `name`, if the plan asks for something that the engine or the robot does not have.
        """

    def set_state(self, env_ids: Tensor, start: StartState) -> None:
        """Set the state of environments [n] and clear their history: warm starts, forces and warnings."""

    def step(self, target: Tensor, last: bool) -> None:
        """Advance all environments by one substep towards joint position targets [N, J] rad.

        `last` is True in the last substep of a control step; the poses of the bodies are computed then too.
        """

    def forward(self, env_ids: Tensor, target: Tensor) -> None:
        """Compute poses, velocities and contact forces of environments from their state, under targets [n, J] rad."""

    def refresh(self, env_ids: Tensor | None = None) -> None:
        """Copy the engine's state into `state`, for all environments or for some."""

    def field(self, name: str) -> Tensor:
        """Return a model field of `PhysicsPlan.model_fields`, [N, ...]. Raises NameProblem.

        Writing to the tensor changes the model: `field(name)[env_ids[:, None], model_ids] = value`.
        """

    def nominal(self, name: str) -> Tensor:
        """Return the value of a model field as compiled, [...]."""

    def model_ids(self, kind: str, names: str | Sequence[str]) -> Tensor:
        """Return the indices of elements of the model, int64. Raises NameProblem.

        `kind` is body, geom, joint, dof or actuator. Joints, dofs and actuators are in the order of
        `RobotModel.joint_names`. The geoms of bodies are those that can collide.
        """

    def update_constants(self, env_ids: Tensor) -> None:
        """Recompute what the engine derives from masses and geometry, after these model fields have been changed."""

    def push_root(self, velocity: Tensor) -> None:
        """Add linear [m/s] and angular [rad/s] velocity [N, 6], world axes, to the roots of the robots."""

    def diverged(self) -> Tensor:
        """Return which environments have diverged since their reset, bool [N].

        An environment has diverged if a position or velocity is not finite or reaches `LARGEST_STATE`, or if the solver
        warned of instability.
        """

    def last_step(self, env_id: int) -> RecordedStep:
        """Return the last control step of an environment. It is called before a diverged environment is reset."""

    def replay(self, step: RecordedStep) -> Replay:
        """Step a recorded step again, using nothing but the record; `build` is not called. Raises MtrackError."""

    def state_dict(self) -> dict[str, Tensor]:
        """Return all that is needed to resume bit for bit: integration state, model fields and last outputs."""

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state_dict` returned. Raises CheckpointError if a shape differs."""
