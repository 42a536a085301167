"""Runs a policy on a robot from start to damping, and says what happened."""

from __future__ import annotations

import select
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from mtrack_deploy.controller import Controller
from mtrack_deploy.errors import DeployError
from mtrack_deploy.player import MotionPlayer
from mtrack_deploy.policy import Policy
from mtrack_deploy.session import DAMPING_S, InterruptibleRobot, RunPlan, SignalNote, Tracking, damp, follow

if TYPE_CHECKING:
    from mtrack_deploy.unitree.link import UnitreeLink
    from mtrack_deploy.unitree.robot import UnitreeRobot

Say = Callable[[str], None]
STOPPED = 1
_PROMPT_S = 0.05
_MANY_MISSED = 0.02
"""Share of late cycles that is worth a warning."""


def run_on_mujoco(policy: Policy, plan: RunPlan, at_end: str = "", say: Say = lambda _: None) -> int:
    """Simulate clips as fast as possible; return 0, or 1 if the robot had to stop. Raises DeployError."""
    from mtrack_deploy.mujoco_robot import MujocoRobot  # noqa: PLC0415  optional dependency

    contract = policy.contract
    robot = MujocoRobot(policy.folder, contract)
    first = plan.clips[0]
    robot.place(first.root_pos[0], first.root_quat_wxyz[0], first.joint_pos[0])
    player = MotionPlayer(contract, at_end)
    controller, tracking = Controller(policy, player), Tracking()
    with SignalNote() as note:
        try:
            follow(InterruptibleRobot(robot, note), controller, player, plan, tracking, say=say)
        finally:
            say(f"{tracking}; pelvis at {robot.data.qpos[2]:.2f} m")
    return _ending(controller, say)


def run_on_unitree(
    policy: Policy,
    plan: RunPlan,
    link: UnitreeLink,
    *,
    at_end: str = "",
    mode_machine: int = 5,
    longest_silence: float = 0.05,
    asks_first: bool = False,
    say: Say = lambda _: None,
) -> int:
    """Drive a robot over DDS; it is damped at the end, whatever the end is. Return 0, or 1 if it had to stop.

    With `asks_first`, a person presses Enter before each part. Raises DeployError if no robot answers, and
    RunInterruptedError after a signal. Only the main thread can call it.
    """
    from mtrack_deploy.unitree.robot import UnitreeRobot  # noqa: PLC0415  optional dependency

    contract = policy.contract
    player = MotionPlayer(contract, at_end)
    controller, tracking = Controller(policy, player), Tracking()
    robot = UnitreeRobot(contract, link, mode_machine=mode_machine, longest_silence=longest_silence)
    robot.connect()
    _warm_up(policy)
    with SignalNote() as note:
        if asks_first:
            say("press Enter to move to the first pose, and Enter again to start the policy; Ctrl-C damps the robot")
            while not _enter_pressed(_PROMPT_S):
                note.check()
        robot.connect()
        driven, confirmed = InterruptibleRobot(robot, note), _enter_pressed if asks_first else lambda: True
        try:
            follow(driven, controller, player, plan, tracking, is_confirmed=confirmed, say=say)
        except DeployError as error:
            controller.stopped = str(error)
        finally:
            lines = [str(tracking), *_measured(robot)]
            damp(robot, contract)
            say(f"damped for {DAMPING_S:g} s")
            for line in lines:
                say(line)
    return _ending(controller, say)


def _warm_up(policy: Policy) -> None:
    """Call the network a few times: its first calls are slow."""
    for _ in range(5):
        policy(np.zeros(policy.contract.observation.width, np.float32))


def _enter_pressed(seconds: float = 0.0) -> bool:
    """Return whether Enter has been pressed, waiting for it for a while. Raises DeployError without a terminal."""
    ready, _, _ = select.select([sys.stdin], [], [], seconds)
    if not ready:
        return False
    if not sys.stdin.readline():
        raise DeployError("a real robot needs a person at a terminal: the input has ended")
    return True


def _measured(robot: UnitreeRobot) -> list[str]:
    """Return lines about rates and latencies so far."""
    pace, ages = robot.pace, robot.ages
    lines = [f"{pace}; {robot.readings} messages read"]
    if pace.missed > _MANY_MISSED * pace.cycles:
        lines.append("this computer is too slow or too busy: commands came too late too often")
    if ages:
        lines.append(f"readings were {1e3 * np.mean(ages):.1f} ms old on average, at most {1e3 * max(ages):.1f} ms")
    return lines


def _ending(controller: Controller, say: Say) -> int:
    if controller.safety.counts:
        limits = ", ".join(f"{name} {count}" for name, count in controller.safety.counts.items())
        say(f"limits applied, in joints and commands: {limits}")
    if controller.stopped:
        say(f"stopped: {controller.stopped}")
        return STOPPED
    return 0
