"""The contracts that a plugin author reads: one Protocol for each kind of component.

A component is a class with the decorator `@component`; its `param()` fields are its recipe parameters. It has the
methods and attributes of its kind, and may have those of `mtrack.api.lifecycle` and `mtrack.api.abilities` as well.

Tensors are float32 on `scene.device` unless a docstring says otherwise: N environments, A actions, J joints. `env_ids`
are indices of environments, int64 [n], without duplicates.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from torch import Tensor

from mtrack.api.mirror import Mirror
from mtrack.api.physics import Backend as Backend  # noqa: PLC0414  the alias exports it
from mtrack.api.physics import Robot as Robot  # noqa: PLC0414  the alias exports it
from mtrack.api.robot import RobotModel
from mtrack.api.types import Clip, Layout, SkeletonMotion, StartState

if TYPE_CHECKING:
    from tensordict import TensorDict

    from mtrack.api.metrics import Metrics
    from mtrack.api.rollout import Rollout
    from mtrack.api.scene import Scene


# ---------------------------------------------------------------- motions


class Motion(Protocol):
    """A source of motion clips, such as a folder of files or a generator."""

    def clips(self, robot: RobotModel) -> Sequence[Clip]:
        """Return the clips for a robot, at least one. Raises MotionError."""


class Importer(Protocol):
    """A reader of one motion file format, for `mtrack motions import`.

    It may also have `fallback: bool` (it is asked only if no other importer recognises the file) and
    `explain(path) -> str` (why a file that no importer recognises cannot be imported).
    """

    def recognises(self, path: Path) -> str:
        """Describe the content in words if it has this format, else return "". Raises MotionError if it is damaged."""

    def clips(self, path: Path, robot: Robot) -> Iterator[Clip]:
        """Yield the clips of a file, checked against a robot, and log every assumption.

        Raises MotionError with the file and the position in it.
        """


class SkeletonSource(Protocol):
    """A reader of one file format of people's motions, for `mtrack motions retarget`."""

    def recognises(self, path: Path) -> str:
        """Describe the content in words if it has this format, else return "". Raises MotionError if it is damaged."""

    def skeletons(self, path: Path) -> Iterator[SkeletonMotion]:
        """Yield the motions of a file in its own unit and axes, and log every assumption.

        Raises MotionError with the file and the position in it.
        """


# ---------------------------------------------------------------- the task


class Command(Protocol):
    """Chooses the motion of each environment and publishes it as `scene.reference`, a Reference."""

    def bind(self, scene: Scene, robot: Robot, motions: Mapping[str, tuple[float, Motion]]) -> None:
        """Load the motions (weight and source of each slot), resolve names and set a first `scene.reference`.

        It is called once, after the action and before all other components.
        """

    def reset(self, env_ids: Tensor, failed: Tensor) -> StartState:
        """Draw a new clip and frame for environments and return their start state.

        `failed`, bool [n], says which of them ended in a termination. The command updates the reference of these
        environments before it returns.
        """

    def advance(self) -> None:
        """Advance all environments by one frame and publish the new reference. It is called once per control step."""

    def publish(self) -> None:
        """Publish the reference of the current clips and frames. It is called after a checkpoint was loaded."""

    def finished(self) -> Tensor:
        """Return which environments have reached the end of their clip, bool [N]; their episodes are truncated."""


class Action(Protocol):
    """Converts the action of the policy into joint position targets."""

    num_actions: int
    """Width of an action, A."""
    names: tuple[str, ...]
    """Name of each of the A columns."""
    current_target: Tensor
    """[N, J] rad, the target in effect now."""

    def mirror(self) -> Mirror:
        """Return the mirror of an action, A columns wide."""

    def bind(self, scene: Scene) -> None:
        """Resolve names and allocate tensors. It is called once, before all other components are bound."""

    def reset(self, env_ids: Tensor) -> None:
        """Start a new episode in environments: `current_target` becomes their start pose, `scene.robot.joint_pos`."""

    def apply(self, action: Tensor) -> Tensor:
        """Receive the action of a control step, [N, A], and return it as used, e.g. clipped."""

    def target(self, substep: int) -> Tensor:
        """Return the joint position targets of a physics substep, counted from 0, [N, J] rad."""


class Observation(Protocol):
    """One term of an observation group: a function of the scene that changes nothing."""

    def __call__(self, scene: Scene) -> Tensor:
        """Return the value, [n, width], for the n environments of `scene`, which may be a part of all N."""

    def mirror(self) -> Mirror | None:
        """Return the mirror of the value, or None if it has none. It is called after `bind`.

        If an observation has no mirror, phases that mirror samples need `mirror = false`.
        """


class Reward(Protocol):
    """One reward term. The kernel multiplies it by its weight, the scale of its group and the control step."""

    def __call__(self, scene: Scene) -> Tensor:
        """Return the reward of each environment, [N]."""


class Termination(Protocol):
    """A reason to end an episode."""

    timeout: bool
    """False if it terminates the episode; True if it truncates it, so that the value of the last state is bootstrapped.

    It is a class attribute or a field.
    """

    def __call__(self, scene: Scene) -> Tensor:
        """Return which environments end, bool [N]."""


class Randomization(Protocol):
    """Makes each environment different.

    It acts in at least one of the calls of `mtrack.api.lifecycle`, usually `startup`, `reset` or `before_step`, and
    writes only the model fields that its `requires` names.
    """

    def bind(self, scene: Scene) -> None:
        """Resolve names and keep nominal values. It is called once."""


class Metric(Protocol):
    """One number per environment, computed over an evaluation rollout."""

    def begin(self, scene: Scene) -> None:
        """Start a new rollout and discard the previous one."""

    def add(self, scene: Scene, active: Tensor) -> None:
        """Add one control step; `active`, bool [N], says which environments count."""

    def value(self) -> Tensor:
        """Return the value of each environment, [N]."""


# ---------------------------------------------------------------- learning


class Agent(Protocol):
    """All networks of a run and their normalisers, in `state()` fields. Every phase trains the same agent."""

    def build(self, layout: Layout) -> None:
        """Create the networks. It is called before the agent is trained, or loaded from a checkpoint."""

    def policy(self, observations: TensorDict, actor: str) -> Tensor:
        """Return the deterministic action of an actor, e.g. `teacher` or `student`, [n, A], without gradients."""


class Phase(Protocol):
    """A stage of training: how the agent acts and how it learns."""

    actor: str
    """The actor that this phase trains or runs, as in `Agent.policy`; an evaluation uses it."""

    def enter(self, agent: Agent, layout: Layout, previous: str | None) -> None:
        """Prepare to train an agent, e.g. create optimisers. It is called once, when the phase starts or is resumed.

        `previous` is the phase that trained the agent before; None if the agent is untrained. Raises MtrackError if
        the agent does not suit this phase.
        """

    def act(self, observations: TensorDict) -> TensorDict:
        """Return `action` [N, A] and whatever `update` needs to know about this step, each [N, ...]."""

    def update(self, rollout: Rollout, progress: float) -> Mapping[str, Tensor | float]:
        """Learn from a rollout and return metrics, each a mean over the update.

        `progress` is the completed share of the phase, in [0, 1). The optional metric `update/skipped` is the share of
        optimiser steps that were skipped; 1 in three iterations in a row rolls the run back (`ScalesLearningRate`), or
        ends it. A metric that is reported only later in the phase must be there in a trial (`is_trial`) with a progress
        near 1: `until` can then name it.
        """


class Logger(Protocol):
    """Receives metrics. A logger that raises is reported once, then disabled; training continues.

    It may also have `checkpoint_saved(path: Path) -> None`, which is called after each checkpoint was written.
    """

    def start(self, directory: Path, run: Mapping[str, object]) -> None:
        """Open the log of a run in its directory; `run` is a copy of the manifest.

        Raises MtrackError, which ends the run, if the user must do something first.
        """

    def log(self, metrics: Metrics) -> None:
        """Receive the metrics of one iteration, as a copy."""

    def finish(self, status: str) -> None:
        """Close the log; `status` is `finished`, `interrupted` or `failed`."""
