"""The reference as the command publishes it: rows of the motion library, fetched when they are first used.

The future is always the motion as it is in the library. The present quantities are the goal, which is the same unless a
component has changed it (see `mtrack_tracking.goal`).
"""

from __future__ import annotations

from torch import Tensor

from mtrack.quantities import derived
from mtrack.scene import Kinematics, Reference
from mtrack_tracking.goal import ChangesGoal, Goal, GoalMotion

_ALWAYS = ("root_pos", "root_quat_wxyz", "root_lin_vel", "root_ang_vel", "joint_pos", "joint_vel")


def _of_present(name: str) -> derived[Tensor]:
    return derived(lambda reference: getattr(reference.present, name))


class PublishedReference(Reference):
    """The motion to follow of some rows. Root and joints are there at once, bodies and the future on first use.

    So a reset that follows on the rewards of a step costs no second gather of what only observations look at.
    """

    body_pos = _of_present("body_pos")
    body_quat_wxyz = _of_present("body_quat_wxyz")
    body_lin_vel = _of_present("body_lin_vel")
    body_ang_vel = _of_present("body_ang_vel")
    body_rot = _of_present("body_rot")
    body_root = _of_present("body_root")
    root_rot = _of_present("root_rot")
    projected_gravity = _of_present("projected_gravity")
    root_lin_vel_root = _of_present("root_lin_vel_root")
    root_ang_vel_root = _of_present("root_ang_vel_root")

    def __init__(
        self, goal: Goal, frames: Tensor, present: GoalMotion, flags: Tensor, root_target: Tensor | None = None
    ) -> None:
        """Show frames int64 [n, S] of the library, the present one first, where `present` is what to do now.

        Without a `root_target` [n, 3] the target is the reference root itself.
        """
        self.known = {}
        self.goal, self.frames, self.flags = goal, frames, flags
        self._aim(present)
        self.root_target = self.root_pos if root_target is None else root_target

    @derived
    def future(self) -> Kinematics:
        """Fetch the same quantities at S frames from now on, [n, S, ...]."""
        return self.goal.library.gather(self.frames)

    def put(self, ids: Tensor, frames: Tensor) -> GoalMotion:
        """Show frames int64 [m, S] in some rows, int64 [m], from now on. Returns what these are to do now."""
        self.frames.index_copy_(0, ids, frames)
        rows = self.goal.of(frames[:, 0], ids)
        self.present.put(ids, rows)  # type: ignore[arg-type]  # both are of the same kind
        # quantities of the present frame are current again; what was made of them, and the future, is not
        self.known = {name: value for name, value in self.known.items() if self.present.known.get(name) is value}
        return rows

    def alter(self, change: ChangesGoal) -> None:
        """Let a component change the goal of all rows, now and in the references that follow."""
        self.goal.change = change
        self.known.clear()
        self._aim(self.goal.of(self.frames[:, 0]))
        self.root_target = self.root_pos

    def rows(self, ids: Tensor) -> PublishedReference:
        """Return the reference of some rows, int64 [m]."""
        target, flags = (part.index_select(0, ids) for part in (self.root_target, self.flags))
        return PublishedReference(self.goal, self.frames.index_select(0, ids), self.present.rows(ids), flags, target)

    def _aim(self, present: GoalMotion) -> None:
        self.present, self.contact = present, present.contact
        for name in _ALWAYS:
            setattr(self, name, getattr(present, name))
