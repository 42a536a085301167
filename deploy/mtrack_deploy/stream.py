"""A reference that arrives frame by frame from outside, e.g. from motion capture."""

from __future__ import annotations

import numpy as np

from mtrack_deploy.contract import Contract
from mtrack_deploy.errors import DeployError
from mtrack_deploy.rotations import Array, quat_of_yaw, slerp, yaw_of
from mtrack_deploy.sensors import Sensors, Window


class StreamPlayer:
    """Follows numbered frames. The policy looks ahead, so the robot is `latency` frames behind the newest one.

    A frame that is missing between two others is interpolated. If frames are late, the newest one is held at rest, and
    the robot continues from it when the next one arrives. Both are counted.
    """

    def __init__(self, contract: Contract) -> None:
        """Wait for frames; `start` aligns them."""
        self._offsets = [int(offset) for offset in contract.reference.frame_offsets]
        self._rate = contract.reference.rate_hz
        self._joints = len(contract.robot.joints)
        self._frames: dict[int, Window] = {}
        self._newest = self._now = -1
        self._turn, self._shift = quat_of_yaw(0.0), np.zeros(3, np.float32)
        self.missing = 0
        """Frames that were interpolated."""
        self.late = 0
        """Control steps in which a frame had not arrived in time."""

    @property
    def latency(self) -> int:
        """Frames between the newest frame and the one that the robot is to reach, if all are in time."""
        return self._offsets[-1]

    @property
    def is_ready(self) -> bool:
        """Whether enough frames have arrived to start."""
        return bool(self._frames) and self._newest - min(self._frames) >= self.latency

    def push(
        self,
        number: int,
        *,
        root_pos: Array,
        root_quat_wxyz: Array,
        joint_pos: Array,
        joint_vel: Array | None = None,
    ) -> None:
        """Add a frame at the policy's rate; without velocities they are differences to the frame before.

        Raises DeployError if a value has the wrong shape or is not finite. A frame older than the newest is ignored.
        """
        given = {"root_pos": root_pos, "root_quat_wxyz": root_quat_wxyz, "joint_pos": joint_pos}
        if joint_vel is not None:
            given["joint_vel"] = joint_vel
        widths = {"root_pos": 3, "root_quat_wxyz": 4}
        arrays = []
        for name, value in given.items():
            arrays.append(np.asarray(value, np.float32))
            width = widths.get(name, self._joints)
            if arrays[-1].shape != (width,) or not np.isfinite(arrays[-1]).all():
                raise DeployError(f"frame {number}: {name} must be {width} finite numbers, not {value}")
        if number <= self._newest:
            return
        if joint_vel is None:
            arrays.append(self._velocity(number, arrays[2]))
        frame = Window(*(array[None] for array in arrays))
        if self._frames:
            self._interpolate(number, frame)
        self._frames[number] = frame
        self._newest = number

    def start(self, sensors: Sensors) -> None:
        """Start at the oldest frame, aligned with the robot. Raises DeployError if too few frames have arrived."""
        if not self.is_ready:
            raise DeployError(
                f"{len(self._frames)} frames have arrived, but the policy needs {self.latency + 1} to start"
            )
        self._now = min(self._frames)
        first = self._frames[self._now]
        self._turn = quat_of_yaw(yaw_of(sensors.root_quat_wxyz) - yaw_of(first.root_quat_wxyz[0]))
        turned = first.moved(self._turn, np.zeros(3, np.float32)).root_pos[0]
        position = np.zeros(3, np.float32) if sensors.root_pos is None else sensors.root_pos
        self._shift = np.array([*(position[:2] - turned[:2]), 0.0], np.float32)

    def window(self) -> Window:
        """Return the reference at the frames that the policy sees."""
        numbers = [self._now + offset for offset in self._offsets]
        frames = [self._frames[min(number, self._newest)] for number in numbers]
        window = Window.joined(frames).moved(self._turn, self._shift)
        resting = np.array([number > self._newest for number in numbers])
        return window.at_rest(resting)

    def advance(self) -> None:
        """Go to the next frame, but no further than the newest; count it if a frame that the policy needs is late."""
        if self._now + 1 + self.latency > self._newest:
            self.late += 1
        self._now = min(self._now + 1, self._newest)
        for number in [number for number in self._frames if number < self._now]:
            del self._frames[number]

    def _velocity(self, number: int, joint_pos: Array) -> Array:
        if not self._frames:
            return np.zeros_like(joint_pos)
        steps = number - self._newest
        moved = joint_pos - self._frames[self._newest].joint_pos[0]
        return np.asarray(moved * np.float32(self._rate / steps))

    def _interpolate(self, number: int, frame: Window) -> None:
        """Fill the gap between the newest frame and a later one."""
        before, gap = self._frames[self._newest], number - self._newest
        for step in range(1, gap):
            share = np.array([step / gap], np.float32)
            mixed = [
                (1.0 - share[0]) * getattr(before, name) + share[0] * getattr(frame, name)
                for name in ("root_pos", "joint_pos", "joint_vel")
            ]
            quat = slerp(before.root_quat_wxyz[0], frame.root_quat_wxyz[0], share)
            self._frames[self._newest + step] = Window(mixed[0], quat, mixed[1], mixed[2])
            self.missing += 1
