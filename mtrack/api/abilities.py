"""What a component of one kind may offer besides its contract, and which kinds may offer which optional call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

from torch import Tensor

from mtrack.api.kinds import KINDS
from mtrack.api.lifecycle import (
    AfterSubstep,
    BeforeStep,
    BeforeSubstep,
    Binds,
    DescribesPolicy,
    Follows,
    HasProvenance,
    NoisyObservation,
    Progresses,
    Reports,
    Requires,
    Resets,
    Startup,
    UsesLibraries,
)

if TYPE_CHECKING:
    from mtrack.api.scene import Kinematics


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
class ChosenByAuto(Protocol):
    """A backend that `backend.use = "auto"` may choose; asked of its class, before a run begins.

    `auto` loads the class of every installed backend: import what is slow in `build`, not with the module. A backend
    with `libraries` (see `UsesLibraries`) is chosen only if all of them are installed.
    """

    auto_priority: ClassVar[Mapping[str, int]]
    """Priority on each type of device, above 0: `{"cuda": 20}`. `auto` takes the highest one that is possible.

    `device = "auto"` means the available device on which the recipe's backend has its highest priority.
    """


@runtime_checkable
class PlaysClips(Protocol):
    """A command whose episodes are clips: `mtrack eval` scores it clip by clip, all others by episodes."""

    def clip_frames(self) -> Sequence[tuple[str, int]]:
        """Return name and number of frames of each clip, the first frame included; called after `bind`."""

    def pin_clips(self, clips: Tensor) -> None:
        """From now on start env i at frame 0 of clip `clips[i]`, int64 [N], at every reset."""


@runtime_checkable
class ChangesGoal(Protocol):
    """A randomization that changes what the robot should do without changing what the policy observes of it.

    The present quantities of `scene.reference` become what `goal` returns; `scene.reference.future` stays the motion.
    The kernel connects it to the command, which must be a `HasGoal`, after its `bind`.
    """

    def goal(self, motion: Kinematics, started: Tensor | None) -> Kinematics:
        """Return what the robot should do instead of the present frame of its motion, [n, ...].

        Called in every step for all environments (`started` is None), and at a reset for the n environments, int64,
        that have just started: their episode starts in the state returned. `motion.replace(root_pos=...)` is enough to
        change one quantity. The command updates the result of a step by the results of resets (`put`), so its tensors
        must not be the randomization's own; those of `motion` may be reused.
        """


@runtime_checkable
class HasGoal(Protocol):
    """A command whose goal one randomization may change."""

    def change_goal(self, change: ChangesGoal) -> None:
        """Publish what `change.goal` returns from now on; called at most once, after `bind`."""


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
    ChosenByAuto: ("backend",),
    NeedsSensors: ("observation",),
    NoisyObservation: ("observation",),
    PlaysClips: ("command",),
    HasGoal: ("command",),
    ChangesGoal: ("randomization",),
    LeavesOut: ("motion",),
    Weighs: ("motion",),
    HasUnit: ("metric",),
    Judges: ("metric",),
    TakesLengths: ("metric",),
    Probes: ("logger",),
}
"""The kinds of component that may offer each of these; in the contract of the other kinds the call is there already."""
