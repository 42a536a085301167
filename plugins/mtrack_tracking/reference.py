"""The reference that the command publishes: what the robot should do now, and the motion at the future frames."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from mtrack import Kinematics, Reference, StartState
from mtrack.api.abilities import ChangesGoal
from mtrack.api.cached_tensors import CachedTensors, derived
from mtrack.math import quat_conjugate, quat_multiply, quat_rotate, quat_yaw
from mtrack_motion.library import MotionLibrary
from mtrack_motion.tables import GatheredKinematics

RECORD_WIDTH = 10
_ALWAYS = ("root_pos", "root_quat_wxyz", "root_lin_vel", "root_ang_vel", "joint_pos", "joint_vel")


def _of_goal(name: str) -> derived[Tensor]:
    return derived(lambda reference: getattr(reference.goal, name))


class MotionReference(Reference):
    """The goal at the present frame and the motion at S future frames, of n environments.

    Root and joints are read at once, bodies and the future when they are first used. Between the rewards of a step and
    its observations some environments are reset; what only observations read is then gathered once, not twice.
    """

    body_pos = _of_goal("body_pos")
    body_quat_wxyz = _of_goal("body_quat_wxyz")
    body_lin_vel = _of_goal("body_lin_vel")
    body_ang_vel = _of_goal("body_ang_vel")
    body_rot = _of_goal("body_rot")
    body_root = _of_goal("body_root")
    root_rot = _of_goal("root_rot")
    projected_gravity = _of_goal("projected_gravity")
    root_lin_vel_root = _of_goal("root_lin_vel_root")
    root_ang_vel_root = _of_goal("root_ang_vel_root")

    @staticmethod
    def gather(
        library: MotionLibrary, frames: Tensor, change: ChangesGoal | None, started: Tensor | None = None
    ) -> MotionReference:
        """Return the reference at frames of the library, int64 [n, S], the present one first.

        The goal is the motion, or what `change` makes of it; `started` are environments as in `ChangesGoal.goal`.
        """
        motion = GatheredKinematics(library.tables, frames[:, 0])
        goal = motion if change is None else change.goal(motion, started)
        return MotionReference(library, frames, goal, motion.contact)

    def __init__(self, library: MotionLibrary, frames: Tensor, goal: Kinematics, contact: Tensor) -> None:
        """Show a goal, [n, ...], with the contact reference [n, feet], and the motion at frames, int64 [n, S]."""
        self.cache = {}
        self.library, self.frames, self.goal, self.contact = library, frames, goal, contact
        for name in _ALWAYS:
            setattr(self, name, getattr(goal, name))

    @derived
    def future(self) -> Kinematics:
        """Gather the motion at the S frames, [n, S, ...]."""
        return GatheredKinematics(self.library.tables, self.frames)

    def put(self, env_ids: Tensor, some: CachedTensors) -> None:
        """Replace the reference of some environments, int64 [m], by another one, [m, ...]."""
        assert isinstance(some, MotionReference)
        self.frames.index_copy_(0, env_ids, some.frames)
        self.contact.index_copy_(0, env_ids, some.contact)
        self.goal.put(env_ids, some.goal)
        # the goal's own quantities are up to date again; what was derived from them, and the future, is not
        self.cache = {name: value for name, value in self.cache.items() if self.goal.cache.get(name) is value}

    def select(self, env_ids: Tensor) -> MotionReference:
        """Return the reference of some environments, int64 [m]."""
        frames, contact = self.frames.index_select(0, env_ids), self.contact.index_select(0, env_ids)
        return MotionReference(self.library, frames, self.goal.select(env_ids), contact)


def root_record(robot: Kinematics | StartState, reference: Kinematics) -> Tensor:
    """Return what `sliding_target` needs of a moment, [n, 10].

    The position of the robot's root, that of the reference root, and the turn from the reference's heading to the
    robot's.
    """
    turn = quat_multiply(quat_yaw(robot.root_quat_wxyz), quat_conjugate(quat_yaw(reference.root_quat_wxyz)))
    return torch.cat((robot.root_pos, reference.root_pos, turn), dim=-1)


def sliding_target(record: Tensor, pos: Tensor) -> Tensor:
    """Return the root target that tolerates drift, [n, 3] m, at reference root positions `pos` [n, 3].

    It is the robot's position at the time of the record, moved as the reference has moved since then. The displacement
    is turned by the heading only: with the full orientation, a tilted robot would be sent up or down.
    """
    robot_pos, past_pos, turn = torch.split_with_sizes(record, (3, 3, 4), dim=-1)
    return robot_pos + quat_rotate(turn, pos - past_pos)


def from_now_on(_: object, attribute: attrs.Attribute[list[int]], frames: list[int]) -> None:
    """Raise ValueError unless the frames to show begin with the present one and rise."""
    if not frames or frames[0] != 0 or sorted(set(frames)) != frames:
        raise ValueError(f"'{attribute.name}' must begin with 0, the present frame, and rise; it is {frames}")
