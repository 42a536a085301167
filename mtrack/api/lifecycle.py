"""Calls a component may offer besides those of its kind; the kernel resolves them once, at assembly.

`OFFERED_BY` says which kinds are asked for which; `mtrack describe KIND` lists them.

In order: `requires` before the model is compiled, `bind` once, `startup`, then `reset`, `before_step`,
`before_substep`, `after_substep` and `set_progress` as the loop goes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

from torch import Tensor

from mtrack.api.robot import RobotModel
from mtrack.api.types import Noise, Requirements

if TYPE_CHECKING:
    from mtrack.api.scene import Scene


@runtime_checkable
class Requires(Protocol):
    """Asks for something in the simulation."""

    def requires(self, robot: RobotModel) -> Requirements:
        """Return what must be built in."""


@runtime_checkable
class Binds(Protocol):
    """Prepares itself once."""

    def bind(self, scene: Scene) -> None:
        """Resolve names, allocate state."""


@runtime_checkable
class Startup(Protocol):
    """Acts once, when the environments are made (and not on resume)."""

    def startup(self) -> None:
        """Draw for every row."""


@runtime_checkable
class Resets(Protocol):
    """Has state that starts anew with an episode."""

    def reset(self, env_ids: Tensor) -> None:
        """Start rows anew, int64 [n]."""


@runtime_checkable
class BeforeStep(Protocol):
    """Acts before the first substep."""

    def before_step(self) -> None:
        """Act once a control step."""


@runtime_checkable
class BeforeSubstep(Protocol):
    """Acts before each substep."""

    def before_substep(self, substep: int) -> None:
        """Act, e.g. write `Backend.wrench`."""


@runtime_checkable
class AfterSubstep(Protocol):
    """Watches each substep."""

    def after_substep(self, substep: int) -> None:
        """Look at `Backend.contacts` and the like."""


@runtime_checkable
class Reports(Protocol):
    """Has figures worth showing while training."""

    def metrics(self) -> Mapping[str, Tensor]:
        """Return present means by name, scalars, e.g. `tracking/joint_error_rad`; called once an iteration."""


@runtime_checkable
class HasProvenance(Protocol):
    """Knows where data of the run comes from."""

    def provenance(self) -> Mapping[str, object]:
        """Return facts for the run's manifest, JSON-able: names, sizes and hashes; no paths of this machine.

        Members of lists that have a `name` and a `sha256` are the data of the run: a checkpoint keeps them, and what
        loads it compares them (`mtrack.run.compatibility`).
        """
        ...


@runtime_checkable
class DescribesPolicy(Protocol):
    """Knows which of its properties a trained policy depends on, once it is bound.

    Without this, a policy depends on all parameters of an action or observation, and on none of a command.
    """

    def policy_facts(self) -> Mapping[str, object]:
        """Return them by name, JSON-able, e.g. the scale of each joint of an action.

        An observation adds to its parameters what else fixes its columns; an action or command names everything.
        """
        ...


@runtime_checkable
class UsesLibraries(Protocol):
    """A class of components whose numbers depend on other distributions; asked of the class."""

    libraries: ClassVar[Sequence[str]]
    """Names of these distributions; their versions are recorded and compared."""


@runtime_checkable
class Progresses(Protocol):
    """Changes with the progress of the phase."""

    def set_progress(self, progress: float) -> None:
        """Take the share of the phase's frames done, in [0, 1)."""


@runtime_checkable
class Follows(Protocol):
    """A phase that can follow some phases only; asked of its class, before a run begins."""

    follows: Sequence[str | None]
    """Component names of these phases; None is the start of a run."""


@runtime_checkable
class NoisyObservation(Protocol):
    """An observation that is disturbed other than by adding noise to each column (optional)."""

    def disturb(self, value: Tensor, scene: Scene, noise: Noise) -> Tensor:
        """Return the value with noise, [n, width]."""
