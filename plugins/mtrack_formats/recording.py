"""What a foreign file says of one motion, as it says it: nothing is reordered or believed yet."""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray

from mtrack import MotionError, between
from mtrack_motion.clip import QUATERNION_TOLERANCE

Table = NDArray[np.float64]

POSSIBLE_FPS = attrs.validators.optional(between(1.0, 1000.0))
"""Validator of a frame rate that a user gives."""
QUATERNION_ORDERS = {"w, x, y, z": [0, 1, 2, 3], "x, y, z, w": [3, 0, 1, 2]}
"""Where w, x, y and z are in a quaternion of each order."""


@attrs.frozen(eq=False, kw_only=True)
class Bodies:
    """Poses of bodies, recorded beside the joint angles."""

    pos: Table
    """[T, B, 3] m."""
    quat: Table | None
    """[T, B, 4], documented to be in `quat_order`."""
    quat_order: str
    names: tuple[str, ...] | None
    in_world: bool
    """Whether in world axes; otherwise in the root's frame."""
    lin_vel: Table | None = None
    """[T, B, 3] m/s, or of any shape if the file is wrong: compared, and never used."""
    ang_vel: Table | None = None
    """[T, B, 3] rad/s, likewise."""
    hold_root: bool = False
    """Whether the recording's root is one of these bodies, so that one quaternion order goes for both."""


@attrs.frozen(eq=False, kw_only=True)
class Recording:
    """One motion of a file: T frames, one joint a column."""

    name: str
    place: str
    """File, and place in it; begins every complaint."""
    source: str
    fps: float | None
    """As the file says, or None where it does not."""
    default_fps: float | None = None
    """What its project uses where the file does not say."""
    root_pos: Table
    """[T, 3] m."""
    root_quat: Table
    """[T, 4], documented to be in `quat_order`."""
    quat_order: str
    joint_pos: Table
    """[T, J] rad."""
    joint_vel: Table | None = None
    """[T, J] rad/s."""
    joint_names: tuple[str, ...] | None = None
    """Name of each column, or None where the file names none."""
    known_order: tuple[str, ...] | None = None
    """The joints in the order its project documents, where the file names none and there is one such order."""
    bodies: Bodies | None = None
    joints_proven: bool = False
    """Whether other content of the file has shown the joint order to be right."""
    root_proven: bool = False
    """Whether other content of the file has shown the quaternion order to be right."""

    def check_records(self) -> None:
        """Raise MotionError where what is recorded beside the motion is of another length, not finite or not unit."""
        if self.joint_vel is not None:
            self._check("joint velocities", self.joint_vel)
        if self.bodies is not None:
            self._check("body positions", self.bodies.pos)
        if self.bodies is not None and self.bodies.quat is not None:
            self._check("body quaternions", self.bodies.quat)
            off = np.abs(np.linalg.norm(self.bodies.quat, axis=2) - 1.0)
            if off.max(initial=0.0) > QUATERNION_TOLERANCE:
                frame, body = (int(i) for i in np.unravel_index(off.argmax(), off.shape))
                norm = np.linalg.norm(self.bodies.quat[frame, body])
                raise MotionError(
                    f"{self.place}: body quaternions, frame {frame}, body {body}: the norm is {norm:.4g}, not 1; "
                    "check that these columns are a quaternion"
                )

    def _check(self, what: str, table: Table) -> None:
        if len(table) != len(self.root_pos):
            raise MotionError(
                f"{self.place}: has {len(table)} frames of {what} and {len(self.root_pos)} of the root; export it again"
            )
        bad = np.argwhere(~(np.abs(table) < 1e9))  # true for NaN too; what is larger would overflow in a product
        if len(bad):
            frame, column = (int(i) for i in bad[0][:2])
            value = float(table[frame, column].flat[int(bad[0][-1])] if table.ndim == 3 else table[frame, column])
            raise MotionError(
                f"{self.place}: {what}, frame {frame}, column {column}: the value is {value:g}; repair that frame"
            )


@attrs.frozen
class Options:
    """What the user decided about reading."""

    fps: float | None = None
    fill_missing: bool = False
    trust: bool = False
