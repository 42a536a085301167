"""A robot from its present pose to the end of a motion: move to the first pose, hold, follow clips, damp."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType
from typing import Self

import numpy as np

from mtrack_deploy.contract import Contract
from mtrack_deploy.controller import Controller
from mtrack_deploy.errors import DeployError
from mtrack_deploy.player import MotionPlayer
from mtrack_deploy.robot import Robot
from mtrack_deploy.rotations import Array, tilt_between
from mtrack_deploy.safety import Safety
from mtrack_deploy.sensors import Sensors, Window

DAMPING_S = 2.0
"""How long a robot is damped at the end."""
START_TILT = 0.3
"""Largest tilt from the first frame with which a policy starts after the first pose [rad]."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class RunInterruptedError(Exception):
    """A signal has arrived; `signum` is its number."""

    def __init__(self, signum: int) -> None:
        """Keep the number."""
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.signum = signum


class SignalNote:
    """Notes SIGINT, SIGTERM and SIGHUP instead of raising at any place, e.g. in the middle of a command."""

    def __init__(self) -> None:
        """Start to note signals on entering."""
        self._signum = 0

    def __enter__(self) -> Self:
        """Replace the handlers."""
        self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        """Restore the handlers."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        self._signum = number

    def check(self) -> None:
        """Raise RunInterruptedError if a signal has arrived."""
        if self._signum:
            raise RunInterruptedError(self._signum)


class InterruptibleRobot:
    """Passes everything on to a robot, and ends a run with RunInterruptedError after a signal."""

    def __init__(self, robot: Robot, note: SignalNote) -> None:
        """Check a note in each cycle."""
        self._robot, self._note = robot, note
        self.read, self.write = robot.read, robot.write

    def wait(self, seconds: float) -> None:
        """Wait for the next cycle. Raises RunInterruptedError."""
        self._robot.wait(seconds)
        self._note.check()


@dataclass(frozen=True)
class RunPlan:
    """What a robot is to do."""

    clips: Sequence[Window]
    move_s: float = 3.0
    """Duration of the way from the present pose to the first one; 0: the robot is there already."""
    hold_s: float = 1.0
    """How long it holds the first pose at least."""
    after_s: float = 5.0
    """How long it follows the end of the last clip."""


class Tracking:
    """Differences between robot and reference, one for each control step."""

    def __init__(self) -> None:
        """Start with none."""
        self._joints: list[float] = []
        self._tilts: list[float] = []

    def add(self, sensors: Sensors, window: Window) -> None:
        """Add the present ones."""
        self._joints.append(float(np.abs(sensors.joint_pos - window.joint_pos[0]).mean()))
        self._tilts.append(float(tilt_between(sensors.root_quat_wxyz, window.root_quat_wxyz[0])))

    def __len__(self) -> int:
        """Return the number of control steps."""
        return len(self._joints)

    def __str__(self) -> str:
        """Return one line."""
        if not self._joints:
            return "no control step"
        return (
            f"{len(self)} control steps, joints off by {np.mean(self._joints):.3f} rad on average, "
            f"root tilted by {np.mean(self._tilts):.3f} rad from the reference, at most {max(self._tilts):.3f}"
        )


def follow(
    robot: Robot,
    controller: Controller,
    player: MotionPlayer,
    plan: RunPlan,
    tracking: Tracking,
    *,
    is_confirmed: Callable[[], bool] = lambda: True,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Run a plan; between the move to the first pose and the first clip, the pose is held until `is_confirmed`.

    Ends early if the controller stops, see `controller.stopped`. Raises DeployError if the robot cannot be read. The
    caller damps the robot afterwards.
    """
    contract = controller.policy.contract
    sensors = robot.read()
    player.start(plan.clips[0], sensors)
    if plan.move_s:
        pose = player.window().joint_pos[0]
        say(f"moving to the first pose in {plan.move_s:g} s")
        move(robot, contract, player.window(), pose, plan.move_s)
        say("holding the first pose")
        hold(robot, contract, player.window(), pose, plan.hold_s, is_confirmed)
        sensors = robot.read()
        player.start(plan.clips[0], sensors)
        _require_upright(sensors, player.window())
    controller.start(sensors)
    for number, clip in enumerate(plan.clips):
        if number:
            player.switch(clip)
        say(f"clip {number + 1} of {len(plan.clips)}: {len(clip) / contract.reference.rate_hz:.1f} s")
        while not player.is_finished and not controller.stopped:
            _step(robot, controller, tracking)
    if plan.after_s and not controller.stopped:
        say(f"end of the last clip, for {plan.after_s:g} s")
    for _ in range(round(plan.after_s / contract.timing.control_dt)):
        if controller.stopped:
            break
        _step(robot, controller, tracking)


def _require_upright(sensors: Sensors, window: Window) -> None:
    """Raise DeployError if a policy would have to save a robot that already falls."""
    tilt = float(tilt_between(sensors.root_quat_wxyz, window.root_quat_wxyz[0]))
    if tilt > START_TILT:
        raise DeployError(
            f"the root is tilted by {tilt:.2f} rad from the first frame, more than {START_TILT:g}: the policy does not "
            "start. Hold the robot upright until it does"
        )


def _step(robot: Robot, controller: Controller, tracking: Tracking) -> None:
    tracking.add(robot.read(), controller.player.window())
    controller.run(robot, 1)


def move(robot: Robot, contract: Contract, reference: Window, pose: Array, seconds: float) -> None:
    """Move from the present pose to another one, [J] rad, with as little jerk as possible.

    Raises DeployError if the robot is tilted too far from the reference.
    """
    start = robot.read().joint_pos
    steps = max(1, round(seconds / contract.timing.physics_dt))
    shares = np.arange(1, steps + 1, dtype=np.float32) / np.float32(steps)
    _go(robot, contract, reference, [start + _smooth(share) * (pose - start) for share in shares])


def hold(
    robot: Robot,
    contract: Contract,
    reference: Window,
    pose: Array,
    seconds: float,
    is_confirmed: Callable[[], bool] = lambda: True,
) -> None:
    """Hold a pose, [J] rad, for a time and until it is confirmed. Raises DeployError as `move` does."""
    steps = max(1, round(seconds / contract.timing.physics_dt))
    _go(robot, contract, reference, [pose] * steps)
    while not is_confirmed():
        _go(robot, contract, reference, [pose])


def _smooth(share: np.float32) -> np.float32:
    """Return the polynomial from 0 to 1 whose velocity and acceleration are 0 at both ends."""
    return share**3 * (10.0 - 15.0 * share + 6.0 * share**2)


def _go(robot: Robot, contract: Contract, reference: Window, targets: Sequence[Array]) -> None:
    """Send one target in each physics step, within the limits of policy.json."""
    safety = Safety(contract)
    joints = len(contract.robot.joints)
    sensors = robot.read().checked(joints)
    safety.reset(sensors.joint_pos)
    for target in targets:
        safety.require_upright(sensors, reference)
        robot.write(safety.limit(target, sensors))
        robot.wait(contract.timing.physics_dt)
        sensors = robot.read().checked(joints)


def damp(robot: Robot, contract: Contract, seconds: float = DAMPING_S) -> None:
    """Let a robot sink down: damping alone, whatever it reads."""
    command = Safety(contract).damped()
    for _ in range(round(seconds / contract.timing.physics_dt)):
        with suppress(DeployError):  # one command that cannot be sent is no reason to give up
            robot.write(command)
        robot.wait(contract.timing.physics_dt)
