"""A session without physics: the robot swings its joints, and every call is remembered."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from mtrack_g1.robot import G1
from mtrack_play.moment import Applied, Moment
from mtrack_view.posed_robot import PosedRobot

DT = 0.02
REWARDS = {f"{'tracking' if n < 20 else 'loco'}/term_{n:02d}": 0.1 * (n + 1) for n in range(40)}
FEET = ("left_ankle_roll_link", "right_ankle_roll_link")


class FakeSession:
    """Obeys the interface of `Session`."""

    dt = DT
    units: ClassVar = {"mpkpe": "mm", "root_rot_error": "degrees"}
    reward_weights = REWARDS
    terminations = ("fall_over", "tracking_error")
    contact_bodies = FEET
    push_body = "torso_link"

    def __init__(
        self,
        actors: tuple[str, ...] = ("teacher", "student"),
        clips: tuple[str, ...] = ("stand", "walk", "turn"),
        frames: int = 100,
    ) -> None:
        self.actors, self.clips, self.lengths = actors, clips, (frames,) * len(clips)
        robot = G1()
        self.robot, self.body_names = PosedRobot(robot), robot.model().body_names
        self.joints = len(robot.model().joint_names)
        self.clip, self.checkpoint = 0, "train-0000100"
        self.randomizations = {"body_mass": False, "motor_gains": True}
        self.newer: list[str | Exception | None] = []
        self.calls: list[tuple[Any, ...]] = []
        self.on_step: Callable[[], None] = lambda: None
        self.step_s = 0.0
        self.force = np.zeros(3)
        self._start = 0
        self._pulled: tuple[str, np.ndarray] | None = None
        self._begin(0)

    @property
    def frame(self) -> int:
        return self.moments[self.actors[0]][-1].frame

    @property
    def at_end(self) -> bool:
        return self.frame >= self.lengths[self.clip] - 1

    def restart(self, clip: int | None = None, frame: int = 0) -> None:
        self.calls.append(("restart", clip, frame))
        self.clip = self.clip if clip is None else clip
        self._begin(frame)

    def step(self) -> None:
        self.on_step()
        time.sleep(self.step_s)
        if self.at_end:
            self._begin(0)
            return
        index = len(self.moments[self.actors[0]])
        for number, actor in enumerate(self.actors):
            self.moments[actor].append(self._moment(number, index))
        self.force = np.zeros(3)

    def push(self, impulse: tuple[float, float, float], body: str = "") -> None:
        self.calls.append(("push", impulse, body))
        self.force = np.array(impulse) / 0.1

    def pull(self, actor: str, body: str, point: np.ndarray, target: np.ndarray) -> None:
        self.calls.append(("pull", actor, body))
        self._pulled = body, target

    def release(self) -> None:
        self.calls.append(("release",))
        self._pulled = None

    def set_stiffness(self, stiffness: float) -> None:
        self.calls.append(("stiffness", stiffness))

    def set_sampled(self, name: str, sampled: bool) -> None:
        self.calls.append(("sampled", name, sampled))
        self.randomizations[name] = sampled
        self._begin(0)

    def draw_again(self) -> None:
        self.calls.append(("draw again",))
        self._begin(0)

    def rewind(self, index: int) -> None:
        self.calls.append(("rewind", index))
        for actor in self.actors:
            del self.moments[actor][max(1, index - 3) :]  # like a session that keeps only some states

    def save_state(self, path: Path | None = None) -> Path:
        self.calls.append(("save", self.frame))
        return Path("run/states/walk-00012.safetensors")

    def load_newest(self) -> str | None:
        newest = self.newer.pop(0) if self.newer else None
        if isinstance(newest, Exception):
            raise newest
        self.checkpoint = newest or self.checkpoint
        return newest

    def close(self) -> None:
        self.calls.append(("close",))

    def _begin(self, frame: int) -> None:
        self._start = frame
        self.moments = {actor: [self._moment(number, 0)] for number, actor in enumerate(self.actors)}

    def _moment(self, number: int, index: int) -> Moment:
        clip_time = (self._start + index) * DT
        phase = 2.0 * math.pi * clip_time
        pose = np.zeros(7 + self.joints)
        pose[:4] = 0.4 * clip_time, 0.0, 0.79, 1.0
        reference = pose.copy()
        pose[7:] = 0.3 * math.sin(phase + 0.5 * number) * np.cos(np.arange(self.joints) + self.clip)
        reference[7:] = 0.3 * math.sin(phase + 0.2) * np.cos(np.arange(self.joints) + self.clip)
        values = 0.5 + 0.4 * np.sin(phase + np.arange(len(REWARDS)) + number)
        applied = [Applied("torso_link", pose[:3] + np.array([0.0, 0.0, 0.3]), self.force)] if self.force.any() else []
        if self._pulled is not None:
            body, target = self._pulled
            point = self.robot.put(pose).body(body).xpos.copy()
            applied.append(Applied(body, point, 300.0 * (target - point)))
        return Moment(
            time=index * DT,
            frame=self._start + index,
            robot=pose,
            reference=reference,
            rewards=dict(zip(REWARDS, values.tolist(), strict=True)),
            errors={"mpkpe": 30.0 + 10.0 * math.sin(phase), "root_rot_error": 2.0 + number},
            terminations=("tracking_error",) if 40 <= self._start + index < 50 else (),
            forces=np.array([[0.0, 0.0, 170.0 * (1 + math.sin(phase))], [10.0, 0.0, 170.0 * (1 - math.sin(phase))]]),
            applied=tuple(applied),
            is_diverged=False,
        )
