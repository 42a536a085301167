"""Optional calls and attributes of components of one kind, and a table of which kinds may have which of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

from torch import Tensor

from mtrack.api.deployment import AppliedOnRobot, ComputedOnRobot, GivesReference
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
    ScalesLearningRate,
    Startup,
    UsesLibraries,
)

if TYPE_CHECKING:
    from pathlib import Path

    from mtrack.api.scene import Kinematics


@runtime_checkable
class DividesRollouts(Protocol):
    """A phase that divides each rollout into parts, such as minibatches."""

    def rollout_parts(self) -> Mapping[str, int]:
        """Return the number of parts by parameter, e.g. `{"minibatches": 4}`.

        Before a run starts, mtrack checks that each part has at least one sample.
        """


@runtime_checkable
class ReadsObservations(Protocol):
    """An agent or phase that declares which observation groups it reads.

    If the agent and all phases of a recipe do so, an unread group is an error, reported before the run starts.
    """

    def observation_groups(self) -> Mapping[str, str]:
        """Return each group by the parameter that names it, e.g. `{"policy_group": "policy"}`."""


@runtime_checkable
class NeedsSensors(Protocol):
    """An observation that declares which sensors a robot needs to compute it."""

    sensors: Sequence[str]
    """Names as in `RobotModel.sensors`, e.g. `imu`; or `simulation` if no robot can measure it.

    Empty if no sensor is needed, e.g. for the reference and for the policy's own actions.
    """


@runtime_checkable
class RunsOnRobot(Protocol):
    """An agent with an actor that can run on a real robot."""

    def robot_groups(self) -> Sequence[str]:
        """Return the observation groups that this actor reads. The robot must have the sensors of all their terms."""
        ...


@runtime_checkable
class ChosenByAuto(Protocol):
    """A backend class that `backend.use = "auto"` can choose.

    `auto` imports every installed backend, so slow imports belong in `build`. A backend with `libraries` (see
    `UsesLibraries`) is chosen only if all of them are installed.
    """

    auto_priority: ClassVar[Mapping[str, int]]
    """Priority for each type of device, greater than 0, e.g. `{"cuda": 20}`. The highest available one is chosen.

    `device = "auto"` means the available device for which the backend of the recipe has its highest priority.
    """


@runtime_checkable
class PlaysClips(Protocol):
    """A command whose episodes are clips.

    `mtrack eval` scores it clip by clip, and other commands by episodes. `mtrack play` chooses clips and frames.
    """

    def clip_frames(self) -> Sequence[tuple[str, int]]:
        """Return the name and the number of frames of each clip. It is called after `bind`."""

    def pin_clips(self, clips: Tensor, frames: Tensor | None = None) -> None:
        """Start environment i at frame `frames[i]` (0 if None) of clip `clips[i]`, at every reset from now on.

        Both are int64 [N].
        """

    def playing(self) -> tuple[Tensor, Tensor]:
        """Return clip and frame of each environment, int64 [N] each.

        The frame is the number of frames of the clip while an environment waits at the end of its clip.
        """
        ...


@runtime_checkable
class ChangesGoal(Protocol):
    """A randomization that changes the goal of the robot, but not the motion that policies observe.

    The kinematics of `scene.reference` become what `goal` returns; `scene.reference.future` stays the recorded motion.
    After `bind`, the kernel connects it to the command, which must be a `HasGoal`.
    """

    def goal(self, motion: Kinematics, started: Tensor | None) -> Kinematics:
        """Return the goal instead of the current frame of the motion, [n, ...].

        It is called in every step for all environments, with `started` None, and at a reset for the n environments
        `started`, int64, whose episodes then start in the returned state. Use `motion.replace(root_pos=...)` to change
        one quantity. The command later writes to the returned tensors (`put`), so they may be those of `motion`, but
        not tensors that the randomization keeps.
        """


@runtime_checkable
class HasGoal(Protocol):
    """A command whose goal a randomization can change."""

    def change_goal(self, change: ChangesGoal) -> None:
        """Publish what `change.goal` returns from now on. It is called at most once, after `bind`."""


@runtime_checkable
class LeavesOut(Protocol):
    """A motion source that skips invalid clips."""

    left_out: Mapping[str, str]
    """Reason by clip or file; set by `clips`."""


@runtime_checkable
class Weighs(Protocol):
    """A motion source that weights its clips; otherwise clips are drawn in proportion to their length."""

    def clip_weights(self, names: Sequence[str]) -> Sequence[float]:
        """Return the factor of each clip on its probability. Raises MotionError."""


@runtime_checkable
class HasUnit(Protocol):
    """A metric that declares the unit of its values."""

    unit: str
    """The unit as it is printed. Values of unit `share` are printed in percent."""


@runtime_checkable
class Judges(Protocol):
    """A metric that decides which environments have failed when clips are scored.

    It receives every frame until the clip ends or the simulation diverges. All other metrics receive only the frames
    before the first one in which such a metric reports a failure. In an evaluation by episodes, the terminations of
    the recipe decide instead, and all metrics receive whole episodes.
    """

    failed: Tensor
    """bool [N], which environments have failed so far. The evaluation sets it where the simulation diverged."""


@runtime_checkable
class TakesLengths(Protocol):
    """A metric that needs the length of each clip. An evaluation by episodes skips it."""

    def set_lengths(self, lengths: Tensor) -> None:
        """Receive the number of frames to score in each environment, [N]. It is called before `begin`."""


@runtime_checkable
class Probes(Protocol):
    """A logger that can check what it needs, such as a package or an account, without opening a log."""

    def probe(self) -> None:
        """Raise MtrackError if something is missing. `mtrack check` calls this instead of `start`."""


@runtime_checkable
class FetchesRuns(Protocol):
    """A logger that uploads runs and can download them again.

    Its name is the word before the colon in `mtrack eval wandb:ENTITY/PROJECT/RUN` and `mtrack run --from wandb:...`.
    """

    @staticmethod
    def fetch_run(reference: str, cache: Path) -> Path:
        """Return a run directory: `recipe.toml`, `manifest.json` and `checkpoints/NAME`. No logger is built for this.

        `reference` is what follows the colon. Download below `cache`, and only what is not there yet; mtrack verifies
        the checkpoint. Raise MtrackError if that is not possible.
        """
        ...


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
    ScalesLearningRate: ("phase",),
    DividesRollouts: ("phase",),
    ReadsObservations: ("agent", "phase"),
    RunsOnRobot: ("agent",),
    ChosenByAuto: ("backend",),
    NeedsSensors: ("observation",),
    ComputedOnRobot: ("observation",),
    AppliedOnRobot: ("action",),
    GivesReference: ("command",),
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
    FetchesRuns: ("logger",),
}
"""The kinds that may have each of these. For other kinds it has no effect, or their contract already requires it."""
