"""The contracts a plugin author reads: one small Protocol for each kind of component.

A component is a class made with `@component` (mtrack.api.fields); its `param()` fields are its recipe parameters. Besides
the calls of its kind it may have those of mtrack.api.lifecycle and mtrack.api.abilities. All tensors are float32 on
`scene.device` unless said otherwise; N environments, J joints, B bodies, F feet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from torch import Tensor

from mtrack.api.mirror import Mirror
from mtrack.api.robot import RobotModel
from mtrack.api.types import Clip, Layout, PhysicsPlan, StartState

if TYPE_CHECKING:
    import mujoco
    from tensordict import TensorDict

    from mtrack.api.metrics import Metrics
    from mtrack.api.recorded_step import RecordedStep, Replay
    from mtrack.api.rollout import Rollout
    from mtrack.api.scene import RobotState, Scene


# ---------------------------------------------------------------- the robot and its physics


class Robot(Protocol):
    """Names and numbers of a robot; its MuJoCo description where the backend is MuJoCo."""

    def model(self) -> RobotModel:
        """Return names, default pose, limits and mirror."""

    def spec(self) -> mujoco.MjSpec:
        """Return a new description with floor, joints and position actuators, ready for sensors."""


class Backend(Protocol):
    """Many copies of one compiled model, stepped together."""

    state: RobotState
    """Live float32 tensors; current after `refresh`."""
    contact_names: tuple[str, ...]
    contacts: Tensor
    """[N, C, 4]: number of contact points, net force on the body in world axes [N]; of the last substep."""
    wrench: Tensor
    """[N, B, 6] force [N] and torque [N m] on bodies at their origins, world axes; stays until changed."""

    def build(self, robot: Robot, plan: PhysicsPlan) -> None:
        """Allocate `plan.num_envs` copies at the default pose. Raises NameProblem with the `name` it lacks."""

    def set_state(self, env_ids: Tensor, start: StartState) -> None:
        """Put rows into a state at rest with respect to history: warm starts, forces and warnings are cleared."""

    def step(self, target: Tensor, last: bool) -> None:
        """Advance every row by one substep under targets [N, J] rad; the `last` of a step computes new poses too."""

    def forward(self, env_ids: Tensor, target: Tensor) -> None:
        """Compute everything, contact forces included, at the present state of rows under targets [n, J] rad."""

    def refresh(self, env_ids: Tensor | None = None) -> None:
        """Copy the simulation's state into `state` (of all rows, or of some)."""

    def field(self, name: str) -> Tensor:
        """Return a declared model field, live, [N, ...]: `field(name)[env_ids[:, None], elements]`. Raises NameProblem."""

    def nominal(self, name: str) -> Tensor:
        """Return a model field as compiled, [...]."""

    def model_ids(self, kind: str, names: str | Sequence[str]) -> Tensor:
        """Return indices in the model, int64; `kind` is body, geom, joint, dof or actuator. Raises NameProblem.

        Joints, dofs and actuators follow `RobotModel.joint_names`; the geoms of a body set are its colliding ones.
        """

    def update_constants(self, env_ids: Tensor) -> None:
        """Recompute what the model derives from masses and geometry, for rows where one has changed these fields."""

    def push_root(self, velocity: Tensor) -> None:
        """Add [N, 6] linear [m/s] and angular [rad/s] velocity, world axes, to the roots."""

    def diverged(self) -> Tensor:
        """Return bool [N]: rows whose state is not finite or whose solver warned of it since their reset."""

    def last_step(self, env_id: int) -> RecordedStep:
        """Return the control step just made by one environment; called if it diverged, before the reset."""

    def replay(self, step: RecordedStep) -> Replay:
        """Step a recorded step again, without `build`: all it needs is in the record. Raises MtrackError."""

    def state_dict(self) -> dict[str, Tensor]:
        """Return everything needed to go on bit for bit: integration state, model fields, last outputs."""

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Put back what `state_dict` returned. Raises CheckpointError where shapes differ."""


# ---------------------------------------------------------------- the task


class Motion(Protocol):
    """A source of clips."""

    def clips(self, robot: RobotModel) -> Sequence[Clip]:
        """Return the clips for a robot, at least one. Raises MotionError."""


class Importer(Protocol):
    """A reader of a motion format; optional: `fallback: bool` (if no other claims a file), `explain(path) -> str`."""

    def recognises(self, path: Path) -> str:
        """Return what was found, in words, or "" if the content is of another format. Raises MotionError if damaged."""

    def clips(self, path: Path, robot: Robot) -> Iterator[Clip]:
        """Yield the clips of a file, checked against a robot; assumptions are logged. Raises MotionError, located."""


class Command(Protocol):
    """What the robot shall do: picks clip and frame of each row and publishes `scene.reference`, a Reference."""

    def bind(self, scene: Scene, robot: Robot, motions: Mapping[str, tuple[float, Motion]]) -> None:
        """Load the motions (slot to weight and source), resolve names, publish a first reference."""

    def reset(self, env_ids: Tensor, failed: Tensor) -> StartState:
        """Draw a new clip and frame for rows; `failed` bool [n] says which of them ended in a termination.

        The reference of these rows is published before it returns.
        """

    def advance(self) -> None:
        """Go on by one frame and publish the reference of the new time."""

    def publish(self) -> None:
        """Publish the reference of the present clips and frames; called after a checkpoint has been loaded."""

    def finished(self) -> Tensor:
        """Return bool [N]: rows at the end of their clip (a truncation)."""


class Action(Protocol):
    """From raw action to joint position targets."""

    num_actions: int
    names: tuple[str, ...]
    current_target: Tensor
    """[N, J] rad, the target each row holds at present."""

    def mirror(self) -> Mirror:
        """Return the mirror of a raw action."""

    def bind(self, scene: Scene) -> None:
        """Resolve names, allocate."""

    def reset(self, env_ids: Tensor) -> None:
        """Start rows anew; `scene.robot.joint_pos` has their start pose, which `current_target` then keeps."""

    def apply(self, action: Tensor) -> Tensor:
        """Take the raw action [N, A] of this step and return it as it will be used (clipped)."""

    def target(self, substep: int) -> Tensor:
        """Return the joint position targets of a substep, [N, J] rad."""


class Observation(Protocol):
    """One term of an observation group: a pure function of the scene."""

    def __call__(self, scene: Scene) -> Tensor:
        """Return [n, width] for the n rows of `scene` (which may be a part of all)."""

    def mirror(self) -> Mirror | None:
        """Return the mirror of the value; called after `bind`. None if it has none: then phases need mirror = false."""


class Reward(Protocol):
    """One reward term; weight, group scale and dt are the kernel's."""

    def __call__(self, scene: Scene) -> Tensor:
        """Return [N]."""


class Termination(Protocol):
    """A reason to end an episode."""

    timeout: bool
    """Whether it truncates (the last observation's value is bootstrapped), not terminates; a param or scratch."""

    def __call__(self, scene: Scene) -> Tensor:
        """Return bool [N]."""


class Randomization(Protocol):
    """Gives each environment its own world, in `startup`, `reset` or `before_step`; writes only declared fields."""

    def bind(self, scene: Scene) -> None:
        """Resolve names, keep nominal values."""


class Metric(Protocol):
    """One figure a clip, gathered over an evaluation rollout."""

    def begin(self, scene: Scene) -> None:
        """Forget everything: a new rollout begins."""

    def add(self, scene: Scene, active: Tensor) -> None:
        """Take in one step of the rows still running, bool [N]."""

    def value(self) -> Tensor:
        """Return one value a row, [N]."""


# ---------------------------------------------------------------- learning


class Agent(Protocol):
    """The named networks of a whole run and their normalisers; all in `state()` fields."""

    def build(self, layout: Layout) -> None:
        """Create the networks."""

    def policy(self, observations: TensorDict, actor: str) -> Tensor:
        """Return the deterministic action [n, A] of an actor (`teacher`, `student`), without gradients."""


class Phase(Protocol):
    """What is done to the agent: how it acts and how it learns."""

    actor: str
    """The actor whose policy this phase runs, as in `Agent.policy`; for evaluation."""

    def enter(self, agent: Agent, layout: Layout, previous: str | None) -> None:
        """Make optimisers for an agent that phase `previous` trained last (None: none). Raises MtrackError if unfit."""

    def act(self, observations: TensorDict) -> TensorDict:
        """Return what to do and what to remember: `action` [n, A] and, for the update, what it needs, [n, ...]."""

    def update(self, rollout: Rollout, progress: float) -> Mapping[str, Tensor | float]:
        """Learn from a rollout and return metrics: means over the update.

        `update/skipped` is the share of skipped optimiser steps, 0 to 1: 1 in three iterations in a row ends the run.
        """


class Logger(Protocol):
    """Receives metrics. A logger that raises is reported once, then disabled; training continues."""

    def start(self, directory: Path, run: Mapping[str, object]) -> None:
        """Open; `run` is a copy of the manifest. Raises MtrackError if the user must act first: that ends the run."""

    def log(self, metrics: Metrics) -> None:
        """Receive the metrics of one iteration, as a copy of its own."""

    def finish(self, status: str) -> None:
        """Close; status is `finished`, `interrupted` or `failed`."""
