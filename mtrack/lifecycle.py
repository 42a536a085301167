"""Calls a component may offer besides those of its kind; the kernel resolves them once, at assembly.

`OFFERED_BY` says which kinds are asked for which; `mtrack describe KIND` lists them.

In order: `requires` before the model is compiled, `bind` once, `startup`, then `reset`, `before_step`,
`before_substep`, `after_substep` and `set_progress` as the loop goes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

from torch import Tensor

from mtrack.exchange import Noise, Requirements
from mtrack.kinds import KINDS
from mtrack.robot import RobotModel

if TYPE_CHECKING:
    from mtrack.scene import Scene


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

    def reset(self, ids: Tensor) -> None:
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

    def figures(self) -> Mapping[str, Tensor]:
        """Return present means by name, scalars, e.g. `tracking/joint_error_rad`; called once an iteration."""


@runtime_checkable
class HasProvenance(Protocol):
    """Knows where data of the run comes from."""

    def provenance(self) -> Mapping[str, object]:
        """Return facts for the run's manifest, JSON-able: names, sizes and hashes; no paths of this machine.

        Members of lists that have a `name` and a `sha256` are the data of the run: a checkpoint keeps them, and what
        loads it compares them (`mtrack.compatibility`).
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
class DividesRollouts(Protocol):
    """A phase that learns from parts of a rollout; asked before a run begins."""

    def rollout_parts(self) -> Mapping[str, int]:
        """Return into how many parts it divides a rollout, by parameter: none may be without a sample."""


@runtime_checkable
class ReadsObservations(Protocol):
    """An agent or phase that says which observation groups it reads; asked before a run begins.

    If the agent and all phases of a recipe do, a group that none of them reads is an error of the recipe.
    """

    def observation_groups(self) -> Mapping[str, str]:
        """Return the groups by the parameter that names each: `{"policy_group": "policy"}`."""


@runtime_checkable
class NoisyObservation(Protocol):
    """An observation that is disturbed other than by adding noise to each column (optional)."""

    def disturb(self, value: Tensor, scene: Scene, noise: Noise) -> Tensor:
        """Return the value with noise, [n, width]."""


@runtime_checkable
class NeedsSensors(Protocol):
    """An observation that says what a robot needs to compute it."""

    sensors: Sequence[str]
    """Names as in `RobotModel.sensors`: `imu`, `joint_encoders`, ...; `simulation` is what no robot can sense.

    Empty for what needs no sensor: the reference, the policy's own actions.
    """


@runtime_checkable
class RunsOnRobot(Protocol):
    """An agent with an actor that is made for a robot."""

    def robot_groups(self) -> Sequence[str]:
        """Return the observation groups that this actor reads: all their terms must be sensed."""
        ...


@runtime_checkable
class PlaysClips(Protocol):
    """A command whose episodes are clips: `mtrack eval` scores it clip by clip, all others by episodes."""

    def clip_frames(self) -> Sequence[tuple[str, int]]:
        """Return name and number of frames of each clip, the first frame included; called after `bind`."""

    def pin_clips(self, clips: Tensor) -> None:
        """From now on start env i at frame 0 of clip `clips[i]`, int64 [N], at every reset."""


@runtime_checkable
class LeavesOut(Protocol):
    """A motion source that knows which clips it has left out."""

    left_out: Mapping[str, str]
    """Why, by clip or file; set by `clips`."""


@runtime_checkable
class Weighs(Protocol):
    """A motion source some clips of which are drawn more often than their length says."""

    def clip_weights(self, names: Sequence[str]) -> Sequence[float]:
        """Return the factor of each clip. Raises MotionError."""


@runtime_checkable
class HasUnit(Protocol):
    """A metric that says in which unit its values are."""

    unit: str
    """As it is shown; `share` is shown in percent."""


@runtime_checkable
class Judges(Protocol):
    """A metric that decides which envs have failed, if clips are scored.

    It sees every frame until the end of the clip, or until the simulation diverged. All other metrics see an env only
    until the first frame in which one judge finds that it failed; that frame does not count. In an evaluation by
    episodes the terminations of the recipe decide instead, and all metrics see whole episodes.
    """

    failed: Tensor
    """bool [N], so far; the evaluation marks envs whose simulation diverged."""


@runtime_checkable
class TakesLengths(Protocol):
    """A metric that needs to know how long a clip is; it is left out of an evaluation by episodes."""

    def set_lengths(self, lengths: Tensor) -> None:
        """Receive the number of frames that can be counted in each env, [N]; called before `begin`."""


@runtime_checkable
class Probes(Protocol):
    """A logger that can find out what `start` needs (a package, an account) without opening anything."""

    def probe(self) -> None:
        """Raise MtrackError if something is missing; `mtrack check` calls this instead of start, log and finish."""


_TERMS = ("action", "command", "observation", "reward", "termination", "randomization", "metric")
OFFERED_BY: Mapping[type, Sequence[str]] = {
    Requires: _TERMS,
    Binds: [kind for kind in _TERMS if kind not in ("action", "command", "randomization")],
    Startup: _TERMS,
    Resets: [kind for kind in _TERMS if kind not in ("action", "command")],
    BeforeStep: _TERMS,
    BeforeSubstep: _TERMS,
    AfterSubstep: _TERMS,
    Reports: (*_TERMS, "backend"),
    HasProvenance: _TERMS,
    DescribesPolicy: ("action", "command", "observation"),
    UsesLibraries: tuple(KINDS),
    Progresses: _TERMS,
    Follows: ("phase",),
    DividesRollouts: ("phase",),
    ReadsObservations: ("agent", "phase"),
    RunsOnRobot: ("agent",),
    NeedsSensors: ("observation",),
    NoisyObservation: ("observation",),
    PlaysClips: ("command",),
    LeavesOut: ("motion",),
    Weighs: ("motion",),
    HasUnit: ("metric",),
    Judges: ("metric",),
    TakesLengths: ("metric",),
    Probes: ("logger",),
}
"""The kinds of component that may offer each of these; in the contract of the other kinds the call is there already."""
