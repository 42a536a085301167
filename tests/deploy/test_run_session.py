"""A run from the present pose to damping, on a robot that reaches every target at once."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

from mtrack_deploy import Controller, DeployError, JointCommand, MotionPlayer, Policy, Sensors, read_clip
from mtrack_deploy.session import (
    InterruptibleRobot,
    RunInterruptedError,
    RunPlan,
    SignalNote,
    Tracking,
    damp,
    follow,
    hold,
    move,
)


class ObedientRobot:
    """Stands upright; its joints are where the last command wants them."""

    def __init__(self, joints: int) -> None:
        self.joint_pos = np.zeros(joints, np.float32)
        self.quat = np.array([1.0, 0.0, 0.0, 0.0], np.float32)
        self.commands: list[JointCommand] = []
        self.cycles, self.refuses, self.fails_after = 0, False, 10**9

    def read(self) -> Sensors:
        if len(self.commands) >= self.fails_after:
            raise DeployError("no new LowState")
        zeros = np.zeros_like(self.joint_pos)
        return Sensors(self.quat, np.zeros(3, np.float32), self.joint_pos, zeros)

    def write(self, command: JointCommand) -> None:
        if self.refuses:
            raise DeployError("cannot send")
        self.commands.append(command)
        if command.stiffness.any():
            self.joint_pos = command.target

    def wait(self, seconds: float) -> None:
        self.cycles += 1


@pytest.fixture
def robot(policy: Policy) -> ObedientRobot:
    return ObedientRobot(len(policy.contract.robot.joints))


def window(policy: Policy, robot: ObedientRobot):
    player = MotionPlayer(policy.contract)
    player.start(read_clip(policy.folder, policy.contract, "sway30"), robot.read())
    return player.window()


def test_the_move_starts_and_ends_gently_at_the_right_poses(policy: Policy, robot: ObedientRobot) -> None:
    contract, reference = policy.contract, window(policy, robot)
    start = robot.joint_pos.copy()
    pose = reference.joint_pos[0]
    move(robot, contract, reference, pose, 1.0)
    targets = np.stack([start, *(command.target for command in robot.commands)])
    assert len(robot.commands) == round(1.0 / contract.timing.physics_dt) == robot.cycles
    assert targets[-1] == pytest.approx(pose, abs=1e-6)
    speed = np.diff(targets, axis=0) / contract.timing.physics_dt
    fastest = np.abs(speed).max()
    assert fastest == pytest.approx(1.875 * np.abs(pose - start).max(), rel=1e-2)  # of the minimum-jerk polynomial
    assert np.abs(speed[[0, -1]]).max() < 0.01 * fastest
    assert robot.commands[0].stiffness.tolist() == pytest.approx([joint.stiffness for joint in contract.robot.joints])


def test_a_pose_is_held_until_someone_confirms(policy: Policy, robot: ObedientRobot) -> None:
    answers = iter([False] * 7 + [True])
    pose = robot.joint_pos.copy()
    hold(robot, policy.contract, window(policy, robot), pose, 0.05, lambda: next(answers))
    assert len(robot.commands) == round(0.05 / policy.contract.timing.physics_dt) + 7


def test_a_tilted_robot_is_not_moved(policy: Policy, robot: ObedientRobot) -> None:
    reference = window(policy, robot)
    robot.quat = np.array([np.cos(0.7), np.sin(0.7), 0.0, 0.0], np.float32)
    with pytest.raises(DeployError, match=r"tilted by 1\.\d+ rad"):
        move(robot, policy.contract, reference, robot.joint_pos, 1.0)
    assert robot.commands == []


def test_a_policy_does_not_start_on_a_robot_that_falls(policy: Policy, robot: ObedientRobot) -> None:
    player = MotionPlayer(policy.contract)
    clip = read_clip(policy.folder, policy.contract, "sway30")
    robot.quat = np.array([np.cos(0.25), np.sin(0.25), 0.0, 0.0], np.float32)  # 0.5 rad: it may still be moved
    with pytest.raises(DeployError, match="Hold the robot upright"):
        follow(robot, Controller(policy, player), player, RunPlan([clip], 1.0, 0.1, 0.0), Tracking())
    assert len(robot.commands) == round(1.1 / policy.contract.timing.physics_dt)


def test_a_run_has_all_parts_in_order(policy: Policy, robot: ObedientRobot) -> None:
    contract = policy.contract
    clips = [read_clip(policy.folder, contract, name) for name in ("sway30", "sway50")]
    player, said, tracking = MotionPlayer(contract), [], Tracking()
    controller = Controller(policy, player)
    follow(robot, controller, player, RunPlan(clips, 1.0, 0.1, 0.2), tracking, say=said.append)
    assert [text.split(":")[0] for text in said] == [
        "moving to the first pose in 1 s",
        "holding the first pose",
        "clip 1 of 2",
        "clip 2 of 2",
        "end of the last clip, for 0.2 s",
    ]
    seen = contract.reference.frame_offsets[-1]  # before a switch the robot still follows what the policy has seen
    blend = round(contract.reference.blend_s * contract.reference.rate_hz)
    assert len(tracking) in range(29 + blend + 49, 29 + seen + blend + 50 + 10 + 2)
    assert controller.stopped == ""
    assert len(robot.commands) == round(1.1 / contract.timing.physics_dt) + contract.timing.decimation * len(tracking)


def test_a_robot_that_is_lost_ends_the_run_at_once(policy: Policy, robot: ObedientRobot) -> None:
    player = MotionPlayer(policy.contract)
    clip = read_clip(policy.folder, policy.contract, "sway30")
    robot.fails_after = 250
    with pytest.raises(DeployError, match="no new LowState"):
        follow(robot, Controller(policy, player), player, RunPlan([clip], 1.0, 0.1, 0.0), Tracking())
    assert len(robot.commands) == 251
    assert not robot.commands[-1].stiffness.any()


def test_damping_has_no_stiffness_and_survives_failures(policy: Policy, robot: ObedientRobot) -> None:
    robot.fails_after = 0
    damp(robot, policy.contract, 0.5)
    assert len(robot.commands) == round(0.5 / policy.contract.timing.physics_dt)
    assert not any(command.stiffness.any() for command in robot.commands)
    assert {float(value) for command in robot.commands for value in command.damping} == {8.0}
    robot.refuses = True
    damp(robot, policy.contract, 0.5)
    assert robot.cycles == 2 * round(0.5 / policy.contract.timing.physics_dt)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_run_between_two_cycles(policy: Policy, robot: ObedientRobot, number: signal.Signals) -> None:
    handler = signal.getsignal(number)
    with SignalNote() as note:
        driven = InterruptibleRobot(robot, note)
        driven.wait(0.1)
        os.kill(os.getpid(), number)
        driven.write(JointCommand(robot.joint_pos, robot.joint_pos, robot.joint_pos))  # is not torn apart
        with pytest.raises(RunInterruptedError, match=number.name) as caught:
            driven.wait(0.1)
        assert caught.value.signum == number
    assert signal.getsignal(number) is handler
