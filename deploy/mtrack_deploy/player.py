"""Plays motions as the reference: aligns them with the robot, blends between clips, and ends at rest."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from mtrack_deploy.contract import Contract
from mtrack_deploy.errors import DeployError, brief
from mtrack_deploy.rotations import Array, quat_of_yaw, slerp, yaw_of
from mtrack_deploy.sensors import Sensors, Window

ENDS = ("hold", "stand")


class Player(Protocol):
    """What a controller follows."""

    def window(self) -> Window:
        """Return the reference at the frames that the policy sees."""

    def advance(self) -> None:
        """Go to the next frame."""


class MotionPlayer:
    """Plays clips one after the other. After the last one it holds its last frame, or blends to standing."""

    def __init__(self, contract: Contract, at_end: str = "") -> None:
        """Play nothing yet; `at_end` is by default that of policy.json. Raises DeployError if it is unknown."""
        self._offsets = np.array(contract.reference.frame_offsets)
        self._rate = contract.reference.rate_hz
        self._blend_frames = max(2, round(contract.reference.blend_s * self._rate))
        self._default_pos = np.array([joint.default_pos for joint in contract.robot.joints], np.float32)
        self._height = contract.robot.root_height
        self._at_end = at_end or contract.reference.at_end
        if self._at_end not in ENDS:
            raise DeployError(f"the end of a motion is {brief(self._at_end)}; expected {' or '.join(ENDS)}")
        self._plan: Window | None = None
        self._now = 0
        self._last_of_clip = 0

    @property
    def is_finished(self) -> bool:
        """Whether the last frame of the last clip has been reached."""
        return self._now >= self._last_of_clip

    def start(self, clip: Window, sensors: Sensors) -> None:
        """Play a clip from now on, turned to the robot's heading and moved to its position, if that is known."""
        position = np.zeros(3, np.float32) if sensors.root_pos is None else sensors.root_pos
        self._plan = self._with_end(aligned(clip, yaw_of(sensors.root_quat_wxyz), position))
        self._now, self._last_of_clip = 0, len(clip) - 1

    def switch(self, clip: Window) -> None:
        """Blend from the frames that the policy already sees to a clip. Raises DeployError before `start`."""
        kept = self._shown(np.arange(int(self._offsets[-1]) + 1))
        last = kept.frames(slice(-1, None))
        clip = aligned(clip, yaw_of(last.root_quat_wxyz[0]), last.root_pos[0])
        between = blend(last, clip.frames(slice(0, 1)), self._blend_frames, self._rate)
        self._plan = self._with_end(Window.joined([kept, between, clip]))
        self._now, self._last_of_clip = 0, len(kept) + len(between) + len(clip) - 1

    def window(self) -> Window:
        """Return the reference at the frames that the policy sees; after the last frame it is at rest."""
        return self._shown(self._offsets)

    def advance(self) -> None:
        """Go to the next frame."""
        self._now = min(self._now + 1, len(self._planned()))

    def _shown(self, offsets: Array) -> Window:
        """Return the frames at some offsets from now; after the last one, that one at rest."""
        plan = self._planned()
        indices = self._now + offsets
        return plan.frames(np.minimum(indices, len(plan) - 1)).at_rest(indices >= len(plan))

    def _planned(self) -> Window:
        if self._plan is None:
            raise DeployError("no motion has been started")
        return self._plan

    def _with_end(self, plan: Window) -> Window:
        """Return a plan with a blend to standing, if that is its end."""
        if self._at_end == "hold":
            return plan
        last = plan.frames(slice(-1, None))
        pos = np.array([[*last.root_pos[0, :2], self._height]], np.float32)
        quat = quat_of_yaw(yaw_of(last.root_quat_wxyz[0]))[None]
        still = np.zeros_like(self._default_pos)[None]
        standing = Window(pos, quat, self._default_pos[None], still)
        return Window.joined([plan, blend(last, standing, self._blend_frames, self._rate), standing])


def aligned(clip: Window, yaw: float, position: Array) -> Window:
    """Return a clip whose first frame has a heading [rad] and the horizontal position of `position`, [3] m."""
    turn = quat_of_yaw(yaw - yaw_of(clip.root_quat_wxyz[0]))
    turned = clip.moved(turn, np.zeros(3, np.float32))
    shift = np.array([*(position[:2] - turned.root_pos[0, :2]), 0.0], np.float32)
    return clip.moved(turn, shift)


def blend(start: Window, end: Window, frames: int, rate: float) -> Window:
    """Return `frames` frames between two single frames: joints on a cubic with the velocities of both ends."""
    share = (np.arange(1, frames + 1, dtype=np.float32) / (frames + 1))[:, None]
    duration = np.float32((frames + 1) / rate)
    from_pos, from_vel = start.joint_pos, start.joint_vel * duration
    to_pos, to_vel = end.joint_pos, end.joint_vel * duration
    # cubic Hermite polynomials and their derivatives
    h00, h01 = 2 * share**3 - 3 * share**2 + 1, -2 * share**3 + 3 * share**2
    h10, h11 = share**3 - 2 * share**2 + share, share**3 - share**2
    joint_pos = h00 * from_pos + h10 * from_vel + h01 * to_pos + h11 * to_vel
    d00, d10, d11 = 6 * share**2 - 6 * share, 3 * share**2 - 4 * share + 1, 3 * share**2 - 2 * share
    joint_vel = (d00 * (from_pos - to_pos) + d10 * from_vel + d11 * to_vel) / duration
    root_pos = start.root_pos + h01 * (end.root_pos - start.root_pos)
    quat = slerp(start.root_quat_wxyz[0], end.root_quat_wxyz[0], h01[:, 0])
    return Window(*(value.astype(np.float32) for value in (root_pos, quat, joint_pos, joint_vel)))
