"""What rows are to do where that is not what they are shown: the door for components that change the goal."""

from __future__ import annotations

from typing import Protocol, TypeAlias

import attrs
import mujoco
from torch import Tensor

from mtrack_motion.library import MotionLibrary
from mtrack_motion.tables import GatheredKinematics
from mtrack_tracking.altered import AlteredMotion

GoalMotion: TypeAlias = GatheredKinematics | AlteredMotion
"""What rows are to do at the present frame: the motion itself, or the motion with other limbs."""


class ChangesGoal(Protocol):
    """Makes another goal of the motion that rows are shown."""

    def started(self, env_ids: Tensor, clip: Tensor) -> None:
        """Take note that rows have started clips, int64 [n]."""

    def goal(self, motion: GatheredKinematics, env_ids: Tensor | None) -> AlteredMotion:
        """Return what rows `env_ids` (None: all) are to do at frames of the motion."""


@attrs.define(eq=False)
class Goal:
    """Of all rows of one command; a component that wants to change it finds it with the reference."""

    library: MotionLibrary
    compiled: mujoco.MjModel
    """The robot, for its kinematics."""
    change: ChangesGoal | None = None
    """Who changes it, if anyone."""

    def started(self, env_ids: Tensor, clip: Tensor) -> None:
        """Tell that rows have started clips, int64 [n]."""
        if self.change is not None:
            self.change.started(env_ids, clip)

    def of(self, frames: Tensor, env_ids: Tensor | None = None) -> GoalMotion:
        """Return what rows `env_ids` (None: all) are to do at frames of the library, int64 [n]."""
        motion = self.library.gather(frames)
        return motion if self.change is None else self.change.goal(motion, env_ids)
