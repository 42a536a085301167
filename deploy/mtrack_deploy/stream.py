"""A reference that arrives frame by frame from outside, e.g. from motion capture."""

from __future__ import annotations

import threading

import numpy as np

from mtrack_deploy.contract import Contract
from mtrack_deploy.errors import DeployError
from mtrack_deploy.rotations import Array, quat_of_yaw, slerp, yaw_of
from mtrack_deploy.sensors import Sensors, Window

_LONGEST_GAP_S = 1.0
_BACKLOG_S = 0.2


class StreamPlayer:
    """Follows numbered frames. The policy looks ahead, so the robot is `latency` frames behind the newest one.

    A frame that is missing between two others is interpolated. While frames are late, the robot holds its present frame
    at rest. If it is more than 0.2 s behind afterwards, it leaves out every other frame until it has caught up. All of
    this is counted. Frames may be pushed by another thread.
    """

    def __init__(self, contract: Contract) -> None:
        """Wait for frames; `start` aligns them."""
        self._offsets = np.array(contract.reference.frame_offsets)
        self._rate = contract.reference.rate_hz
        self._joints = len(contract.robot.joints)
        self._frames: dict[int, Window] = {}
        self._newest = self._now = -1
        self._is_late = False
        self._turn, self._shift = quat_of_yaw(0.0), np.zeros(3, np.float32)
        self._lock = threading.Lock()
        self.missing = 0
        """Frames that were interpolated."""
        self.late = 0
        """Control steps in which a frame had not arrived in time."""
        self.skipped = 0
        """Frames that were left out to catch up."""
        self.stale = 0
        """Frames that were ignored, because they were not newer than the newest one."""

    @property
    def latency(self) -> int:
        """Frames between the newest frame and the present one, if all are in time."""
        return int(self._offsets[-1])

    @property
    def is_ready(self) -> bool:
        """Whether enough frames have arrived to start."""
        with self._lock:
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

        Raises DeployError if a value has the wrong shape or is not finite, or if more than a second is missing before
        it. A frame that is not newer than the newest is ignored and counted.
        """
        given = {"root_pos": root_pos, "root_quat_wxyz": root_quat_wxyz, "joint_pos": joint_pos}
        if joint_vel is not None:
            given["joint_vel"] = joint_vel
        arrays = [self._checked(number, name, value) for name, value in given.items()]
        with self._lock:
            if number <= self._newest:
                self.stale += 1
                return
            if self._frames and number - self._newest > _LONGEST_GAP_S * self._rate:
                raise DeployError(f"frame {number} follows frame {self._newest}: start again after so long a gap")
            if joint_vel is None:
                arrays.append(self._velocity(number, arrays[2]))
            frame = Window(*(array[None] for array in arrays))
            self._interpolate(number, frame)
            self._frames[number] = frame
            self._newest = number
            if self._now < 0:  # not started: only the newest frames are of use
                self._forget_before(number - self.latency)

    def start(self, sensors: Sensors) -> None:
        """Start `latency` frames before the newest one, aligned with the robot. Raises DeployError if it is too early.

        After a gap, or if the sender numbers from the start again, use a new StreamPlayer.
        """
        if not self.is_ready:
            count = len(self._frames)
            raise DeployError(f"{count} frames have arrived, but the policy needs {self.latency + 1} to start")
        with self._lock:
            self._now = self._newest - self.latency
            first = self._frames[self._now]
        self._turn = quat_of_yaw(yaw_of(sensors.root_quat_wxyz) - yaw_of(first.root_quat_wxyz[0]))
        turned = first.moved(self._turn, np.zeros(3, np.float32)).root_pos[0]
        position = np.zeros(3, np.float32) if sensors.root_pos is None else sensors.root_pos
        self._shift = np.array([*(position[:2] - turned[:2]), 0.0], np.float32)

    def window(self) -> Window:
        """Return the reference at the frames that the policy sees. Raises DeployError before `start`."""
        if self._now < 0:
            raise DeployError("the stream has not been started")
        with self._lock:
            frames = [self._frames[self._now + int(offset)] for offset in self._offsets]
        window = Window.joined(frames).moved(self._turn, self._shift)
        return window.at_rest(np.full(len(frames), self._is_late))

    def advance(self) -> None:
        """Go to the next frame if all that the policy sees there have arrived; otherwise stay."""
        with self._lock:
            ahead = self._newest - self.latency - self._now
            self._is_late = ahead < 1
            if self._is_late:
                self.late += 1
                return
            skipped = int(ahead > 1 + _BACKLOG_S * self._rate)
            self.skipped += skipped
            self._now += 1 + skipped
            self._forget_before(self._now)

    def _checked(self, number: int, name: str, value: Array) -> Array:
        """Return a value as float32. Raises DeployError if it has another shape or cannot be what it should be."""
        array = np.asarray(value, np.float32)
        width = {"root_pos": 3, "root_quat_wxyz": 4}.get(name, self._joints)
        if array.shape != (width,) or not np.isfinite(array).all():
            raise DeployError(f"frame {number}: {name} must be {width} finite numbers, not {value}")
        if name == "root_quat_wxyz" and abs(float(np.linalg.norm(array)) - 1.0) > 1e-2:
            raise DeployError(f"frame {number}: {name} is not a unit quaternion: {value}")
        return array / np.linalg.norm(array) if name == "root_quat_wxyz" else array

    def _forget_before(self, number: int) -> None:
        for old in [known for known in self._frames if known < number]:
            del self._frames[old]

    def _velocity(self, number: int, joint_pos: Array) -> Array:
        if not self._frames:
            return np.zeros_like(joint_pos)
        moved = joint_pos - self._frames[self._newest].joint_pos[0]
        return np.asarray(moved * np.float32(self._rate / (number - self._newest)))

    def _interpolate(self, number: int, frame: Window) -> None:
        """Fill the gap between the newest frame and a later one."""
        if not self._frames:
            return
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
