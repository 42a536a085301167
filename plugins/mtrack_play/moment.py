"""What one control step shows, and the probe that reads it from the environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtrack import Kinematics, Scene
from mtrack.loop.env import RewardTerm, TerminationTerm
from mtrack_eval.frame_mean import FrameMean

Array = NDArray[np.float64]


@attrs.frozen(eq=False)
class Applied:
    """A force of a push or of the mouse in one control step."""

    body: str
    point: Array
    """[3] m, where it acts, world axes."""
    force: Array
    """[3] N, world axes."""


@attrs.frozen(eq=False, kw_only=True)
class Moment:
    """One control step of one actor, before its environment is reset."""

    time: float
    """s since the start of the episode."""
    frame: int
    """Frame of the clip that the reference shows."""
    robot: Array
    """[7 + J] pose: root position [m], its quaternion w, x, y, z, joints [rad]."""
    reference: Array
    """[7 + J] pose of the reference."""
    rewards: Mapping[str, float]
    """Every reward term as its component returned it, unweighted, by `group/slot`."""
    errors: Mapping[str, float]
    """Tracking errors by metric slot."""
    terminations: tuple[str, ...]
    """Slots of the terminations that would have ended the episode here."""
    forces: Array
    """[C, 3] N, contact forces, world axes."""
    applied: tuple[Applied, ...]
    is_diverged: bool


class Probe:
    """The terms of a recipe, called by the environment as one reward that is always zero.

    Rewards are called when robot and reference belong to the same time and no environment has been reset yet.
    """

    def __init__(
        self, rewards: Sequence[RewardTerm], terminations: Sequence[TerminationTerm], errors: Mapping[str, FrameMean]
    ) -> None:
        """Read these terms; `errors` are metrics by slot."""
        self._rewards = {reward_name(term): term for term in rewards}
        self._terminations, self._errors = terminations, errors
        self.rewards: dict[str, float] = {}
        self.errors: dict[str, float] = {}
        self.ended: tuple[str, ...] = ()
        self.pose = self.reference = np.zeros(0)
        self.forces = np.zeros((0, 3))
        self.is_diverged = False
        self._everything = torch.ones(0, dtype=torch.bool)
        """bool [1], all environments."""

    def __call__(self, scene: Scene) -> Tensor:
        """Read the present step of the one environment, and return zeros, [1]."""
        self.rewards = _numbers({name: term.component(scene) for name, term in self._rewards.items()})
        self.errors = _numbers({slot: self._error(metric, scene) for slot, metric in self._errors.items()})
        step = int(scene.episode_step[0])
        ends = _numbers({term.slot: term.component(scene).float() for term in self._terminations})
        grace = {term.slot: term.grace_steps for term in self._terminations}
        self.ended = tuple(slot for slot, value in ends.items() if value > 0.0 and step > grace[slot])
        self.read_state(scene)
        return torch.zeros(scene.num_envs, device=scene.device)

    def _error(self, metric: FrameMean, scene: Scene) -> Tensor:
        """Return the value of a metric in the present step, [1]."""
        if type(metric).add is FrameMean.add:  # it needs no step but this one, and no mean
            return metric.frame(scene)
        metric.add(scene, self._everything)
        return metric.newest

    def begin(self, scene: Scene) -> None:
        """Start a new episode in the state that the environment was just reset to."""
        for metric in self._errors.values():
            metric.begin(scene)
        self._everything = torch.ones_like(scene.episode_step, dtype=torch.bool)
        self.rewards, self.errors, self.ended = {}, {}, ()
        self.read_state(scene)

    def read_state(self, scene: Scene) -> None:
        """Read poses, contact forces, and whether the simulation has diverged."""
        self.pose, self.reference = _pose(scene.robot), _pose(scene.reference)
        self.forces = scene.contacts.force[0].double().cpu().numpy()
        self.is_diverged = bool(scene.backend.diverged()[0])


def reward_name(term: RewardTerm) -> str:
    """Return `group/slot` of a reward term."""
    return term.path.partition(".")[2].replace(".", "/")


def _numbers(values: Mapping[str, Tensor]) -> dict[str, float]:
    """Return values [1] as numbers, with one copy from the device for all of them."""
    if not values:
        return {}
    together = torch.stack([value[0].float() for value in values.values()]).tolist()
    return dict(zip(values, together, strict=True))


def _pose(motion: Kinematics) -> Array:
    pose = torch.cat((motion.root_pos[0], motion.root_quat_wxyz[0], motion.joint_pos[0]))
    values: Array = pose.double().cpu().numpy()
    return values
