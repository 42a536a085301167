"""Optional calls that components of several kinds may have; `OFFERED_BY` in `mtrack.api.abilities` says which kinds.

The kernel looks for these methods once, at assembly; a component needs no base class. `mtrack describe KIND` lists
those of a kind. They are called in this order: `requires` before the robot is compiled, `bind` once, `startup` once,
then, in the loop, `set_progress`, `reset`, `before_step`, `before_substep` and `after_substep`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

from torch import Tensor

from mtrack.api.robot import RobotModel
from mtrack.api.types import Noise, Requirements
from mtrack.errors import MtrackError

if TYPE_CHECKING:
    from mtrack.api.scene import Scene


@runtime_checkable
class Requires(Protocol):
    """Requests contact sensors, model fields or external forces."""

    def requires(self, robot: RobotModel) -> Requirements:
        """Return what the backend must provide. It is called before the robot is compiled."""


@runtime_checkable
class Binds(Protocol):
    """Prepares for a scene."""

    def bind(self, scene: Scene) -> None:
        """Resolve names and allocate state. It is called once."""


@runtime_checkable
class Startup(Protocol):
    """Acts once when the environments are created; on resume, the checkpoint restores the result instead."""

    def startup(self) -> None:
        """Draw the values that each environment keeps for the whole run."""


@runtime_checkable
class Resets(Protocol):
    """Has state that belongs to an episode."""

    def reset(self, env_ids: Tensor) -> None:
        """Start a new episode in environments `env_ids`, int64 [n].

        Randomizations are reset before these environments have their start state; other components, after it.
        """


@runtime_checkable
class BeforeStep(Protocol):
    """Acts at the start of each control step, e.g. pushes the robot."""

    def before_step(self) -> None:
        """Act before the action is applied."""


@runtime_checkable
class BeforeSubstep(Protocol):
    """Acts before each physics substep, e.g. writes `Backend.wrench`."""

    def before_substep(self, substep: int) -> None:
        """Act; `substep` counts from 0 in each control step."""


@runtime_checkable
class AfterSubstep(Protocol):
    """Measures something after each physics substep, e.g. reads `Backend.contacts`."""

    def after_substep(self, substep: int) -> None:
        """Measure; `substep` counts from 0 in each control step."""


@runtime_checkable
class Reports(Protocol):
    """Has metrics to log during training."""

    def metrics(self) -> Mapping[str, Tensor]:
        """Return scalar means by name, e.g. `tracking/joint_error_rad`. It is called once per iteration.

        A name may be missing while there is no value, but not in a trial (`is_trial`): `until` can then name it.
        """


@runtime_checkable
class HasProvenance(Protocol):
    """Records where the data of a run comes from."""

    def provenance(self) -> Mapping[str, object]:
        """Return JSON-able facts for the manifest: names, sizes and hashes, but no paths of this machine.

        A list member with a `name` and a `sha256` is data of the run. Each checkpoint records these, and they are
        compared when it is loaded (`mtrack.run.compatibility`).
        """
        ...


@runtime_checkable
class DescribesPolicy(Protocol):
    """Knows what a trained policy depends on.

    Otherwise a policy depends on all parameters of its action and observations, and on none of the command.
    """

    def policy_facts(self) -> Mapping[str, object]:
        """Return JSON-able facts by name, e.g. the scale of each joint. It is called after `bind`.

        The facts of an observation are added to its parameters; those of an action or command replace them.
        """
        ...


@runtime_checkable
class UsesLibraries(Protocol):
    """A class whose results depend on other installed distributions."""

    libraries: ClassVar[Sequence[str]]
    """Names of these distributions. Their versions are recorded in the manifest, and compared on resume."""


@runtime_checkable
class Progresses(Protocol):
    """Changes with the progress of a phase."""

    def set_progress(self, progress: float) -> None:
        """Receive the completed share of the phase, in [0, 1). It is called once per iteration."""


@runtime_checkable
class Follows(Protocol):
    """A phase class that can follow only certain phases; this is checked before a run starts."""

    follows: Sequence[str | None]
    """Component names of the phases that it can follow; None if it can be the first phase of a new agent."""


@runtime_checkable
class ScalesLearningRate(Protocol):
    """A phase whose learning rates can be lowered, so that a run that stops learning can roll back and go on.

    A run whose phase cannot do so stops instead.
    """

    def scale_learning_rate(self, factor: float) -> None:
        """Use `factor` times the learning rates of the recipe, and of its schedule, from the next update on.

        It is called after a rollback, and after each resume of a phase that was rolled back; the kernel saves `factor`.
        """


def require_order(name: str, follows: Sequence[str | None], previous: str | None) -> None:
    """Raise MtrackError unless phase `name` can follow `previous`; None means that the agent is untrained."""
    if previous in follows:
        return
    known = " or ".join(f"'{phase}'" for phase in follows if phase is not None)
    wanted = f"follow {known}" if known else "be first"
    if known and None in follows:
        wanted = f"be first or {wanted}"
    found = f"it follows '{previous}'" if previous else "it is first"
    remedy = "" if None in follows else f". Add {known} before it, or start from such a run with --from RUN"
    raise MtrackError(f"phase '{name}' must {wanted}, but {found}{remedy}")


@runtime_checkable
class NoisyObservation(Protocol):
    """Adds its noise itself, because independent noise on each column would be wrong for it."""

    def disturb(self, value: Tensor, scene: Scene, noise: Noise) -> Tensor:
        """Return the value with noise, [n, width]; `noise` draws samples of the strength that the recipe sets."""
