"""The content of a foreign motion file as stored: nothing is reordered or verified yet."""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray

from mtrack import MotionError, between
from mtrack_motion.clip import QUATERNION_TOLERANCE

FloatArray = NDArray[np.float64]

POSSIBLE_FPS = attrs.validators.optional(between(1.0, 1000.0))
"""Validator of a frame rate from the user."""
QUATERNION_ORDERS = {"w, x, y, z": [0, 1, 2, 3], "x, y, z, w": [3, 0, 1, 2]}
"""Indices of w, x, y and z in a quaternion of each order."""


@attrs.frozen(eq=False, kw_only=True)
class Bodies:
    """Body poses that are stored in addition to the joint angles."""

    pos: FloatArray
    """[T, B, 3] m."""
    quat: FloatArray | None
    """[T, B, 4]; its documented order is `quat_order`."""
    quat_order: str
    names: tuple[str, ...] | None
    in_world: bool
    """True for world axes, False for the root's frame."""
    lin_vel: FloatArray | None = None
    """[T, B, 3] m/s, or of any shape if the file is wrong: only compared, never used."""
    ang_vel: FloatArray | None = None
    """[T, B, 3] rad/s, as above."""
    includes_root: bool = False
    """Whether the recording's root is one of these bodies, so that both have the same quaternion order."""


@attrs.frozen(eq=False, kw_only=True)
class Recording:
    """One motion of a file: T frames, one column per joint."""

    name: str
    place: str
    """File and location in it; every error message starts with it."""
    source: str
    fps: float | None
    """As stored in the file; None if it is missing."""
    default_fps: float | None = None
    """The rate its project uses, for files that do not state it."""
    root_pos: FloatArray
    """[T, 3] m."""
    root_quat: FloatArray
    """[T, 4]; its documented order is `quat_order`."""
    quat_order: str
    joint_pos: FloatArray
    """[T, J] rad."""
    joint_vel: FloatArray | None = None
    """[T, J] rad/s."""
    joint_names: tuple[str, ...] | None = None
    """Name of each column; None if the file has no names."""
    known_order: tuple[str, ...] | None = None
    """The joints in the order that the project documents, for files without names; None if there is no such order."""
    bodies: Bodies | None = None
    joints_proven: bool = False
    """Whether other content of the file proves the joint order."""
    root_proven: bool = False
    """Whether other content of the file proves the order of the root's quaternion."""

    def check_records(self) -> None:
        """Raise MotionError if velocities or body poses have another length, are not finite, or are not unit."""
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

    def _check(self, what: str, table: FloatArray) -> None:
        if len(table) != len(self.root_pos):
            raise MotionError(
                f"{self.place}: has {len(table)} frames of {what} but {len(self.root_pos)} of the root; export it again"
            )
        bad = np.argwhere(~(np.abs(table) < 1e9))  # true for NaN too; larger values could overflow in a product
        if len(bad):
            frame, column = (int(i) for i in bad[0][:2])
            value = float(table[frame, column].flat[int(bad[0][-1])] if table.ndim == 3 else table[frame, column])
            raise MotionError(
                f"{self.place}: {what}, frame {frame}, column {column}: the value is {value:g}; fix that frame"
            )


@attrs.frozen
class ImportOptions:
    """The user's choices for an import."""

    fps: float | None = None
    fill_missing: bool = False
    trust: bool = False
