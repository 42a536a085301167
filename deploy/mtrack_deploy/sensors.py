"""What a controller gets in each control step: the robot's sensor readings, and the reference at the frames it sees."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mtrack_deploy.errors import DeployError
from mtrack_deploy.rotations import Array, quat_multiply, quat_rotate


@dataclass(frozen=True)
class Sensors:
    """Readings of one moment, float32, J joints in the order of policy.json."""

    root_quat_wxyz: Array
    """[4], orientation of the root in a world whose z axis is vertical."""
    root_ang_vel: Array
    """[3] rad/s, in the frame of the root, as a gyroscope there measures it."""
    joint_pos: Array
    """[J] rad."""
    joint_vel: Array
    """[J] rad/s."""
    root_pos: Array | None = None
    """[3] m, in the world; only if the robot estimates it."""
    root_lin_vel: Array | None = None
    """[3] m/s, in the frame of the root; only if the robot estimates it."""

    def checked(self, joints: int) -> Self:
        """Return these readings as float32, the quaternion of length 1.

        Raises DeployError if one has another shape, or is not finite.
        """
        widths = {"root_quat_wxyz": 4, "joint_pos": joints, "joint_vel": joints}
        values = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None:
                continue
            values[field.name] = array = np.asarray(value, np.float32)
            if array.shape != (widths.get(field.name, 3),):
                raise DeployError(f"sensor {field.name} has shape {array.shape}, not ({widths.get(field.name, 3)},)")
            if not np.isfinite(array).all():
                raise DeployError(f"sensor {field.name} is not finite: {array}")
        norm = float(np.linalg.norm(values["root_quat_wxyz"]))
        if abs(norm - 1.0) > 1e-2:
            raise DeployError(f"sensor root_quat_wxyz is not a unit quaternion: its norm is {norm:.3f}")
        values["root_quat_wxyz"] = values["root_quat_wxyz"] / np.float32(norm)
        return replace(self, **values)


@dataclass(frozen=True)
class Window:
    """The reference at S frames, the present one first, float32."""

    root_pos: Array
    """[S, 3] m."""
    root_quat_wxyz: Array
    """[S, 4]."""
    joint_pos: Array
    """[S, J] rad."""
    joint_vel: Array
    """[S, J] rad/s."""

    def moved(self, turn_wxyz: Array, shift: Array) -> Window:
        """Return the frames turned by a quaternion [4], then shifted by [3] m."""
        return Window(
            (quat_rotate(turn_wxyz, self.root_pos) + shift).astype(np.float32),
            quat_multiply(np.broadcast_to(turn_wxyz, self.root_quat_wxyz.shape), self.root_quat_wxyz),
            self.joint_pos,
            self.joint_vel,
        )

    def frames(self, indices: Array | slice) -> Window:
        """Return some of the frames."""
        return Window(*(getattr(self, field.name)[indices] for field in fields(self)))

    def at_rest(self, resting: NDArray[np.bool_]) -> Window:
        """Return the same without velocities in some frames, bool [S]."""
        return replace(self, joint_vel=np.where(resting[:, None], np.float32(0.0), self.joint_vel))

    @staticmethod
    def joined(parts: list[Window]) -> Window:
        """Return the frames of several windows, one after the other."""
        return Window(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Window)))

    def __len__(self) -> int:
        """Return the number of frames, S."""
        return len(self.root_pos)
