"""The robot behind Unitree's messages: what it accepts, what it sends, and when it gives up. No network is used."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("cyclonedds", reason="cyclonedds is not installed: pip install cyclonedds")

from mtrack_deploy import DeployError, JointCommand, Policy
from mtrack_deploy.contract import Contract
from mtrack_deploy.unitree.messages import LowCmd, LowState
from mtrack_deploy.unitree.robot import UnitreeRobot, motors_of, sensors_of

MOTORS = list(range(29))


class FakeTopics:
    """Stands for a link and its reader and writer: `incoming` is read, `sent` was written."""

    def __init__(self, is_loopback: bool = True) -> None:
        self.is_loopback = is_loopback
        self.incoming: list[Any] = []
        self.sent: list[bytes] = []

    def reader(self, topic: str, message: type) -> FakeTopics:
        return self

    def writer(self, topic: str, message: type) -> FakeTopics:
        return self

    def take(self, count: int) -> list[Any]:
        taken, self.incoming = self.incoming[-count:], []  # the newest, as a reader that keeps one
        return taken

    def write(self, message: Any) -> None:
        self.sent.append(message.serialize())


def state(tick: int = 1, **changes: Any) -> LowState:
    message = LowState.blank()
    message.tick, message.mode_machine = tick, 5
    message.imu_state.quaternion, message.imu_state.gyroscope = [0.8, 0.0, 0.6, 0.0], [0.1, 0.2, 0.3]
    for index, motor in enumerate(message.motor_state):
        motor.q, motor.dq = 0.01 * index, -0.1 * index
    for name, value in changes.items():
        setattr(message, name, value)
    message.crc = message.checksum()
    message.sample_info = SimpleNamespace(source_timestamp=time.time_ns(), publication_handle=7)
    return message


@pytest.fixture
def topics() -> FakeTopics:
    return FakeTopics()


@pytest.fixture
def robot(policy: Policy, topics: FakeTopics) -> UnitreeRobot:
    topics.incoming = [state()]
    robot = UnitreeRobot(policy.contract, topics)
    robot.connect(0.1)
    return robot


def shuffled(contract: Contract) -> Contract:
    """Return a contract whose joints have the motors 28 to 0."""
    joints = [replace(joint, motor_index=28 - index) for index, joint in enumerate(contract.robot.joints)]
    return replace(contract, robot=replace(contract.robot, joints=joints))


def test_readings_come_in_the_order_of_the_joints() -> None:
    sensors = sensors_of(state(), [3, 28, 0], (5,))
    assert sensors.joint_pos == pytest.approx([0.03, 0.28, 0.0])
    assert sensors.joint_vel == pytest.approx([-0.3, -2.8, 0.0])
    assert sensors.root_quat_wxyz == pytest.approx([0.8, 0.0, 0.6, 0.0])
    assert sensors.root_ang_vel == pytest.approx([0.1, 0.2, 0.3])


def _nan(message: LowState) -> None:
    message.motor_state[7].q = float("nan")


def _no_imu(message: LowState) -> None:
    message.imu_state.quaternion = [0.0] * 4


def _long_quaternion(message: LowState) -> None:
    message.imu_state.quaternion = [1.0, 1.0, 0.0, 0.0]


def _press(byte: int, bit: int) -> Callable[[LowState], None]:
    def change(message: LowState) -> None:
        message.wireless_remote[byte] = bit

    return change


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda message: setattr(message, "mode_machine", 4), r"another robot: its mode_machine is 4, expected 5"),
        (lambda message: setattr(message, "mode_pr", 1), "mode_pr is 1"),
        (_nan, "joint_pos is not finite"),
        (_no_imu, "the IMU does not measure yet"),
        (_long_quaternion, "not a unit quaternion"),
        (_press(2, 0x08), "stop button"),
        (_press(3, 0x02), "stop button"),
    ],
)
def test_bad_readings_are_refused(change: Callable[[LowState], None], problem: str) -> None:
    message = state()
    change(message)
    message.crc = message.checksum()
    with pytest.raises(DeployError, match=problem):
        sensors_of(message, MOTORS, (5,))


def test_a_corrupt_message_is_refused() -> None:
    message = state()
    message.motor_state[30].ddq = 0.5  # not even used
    with pytest.raises(DeployError, match=r"LowState 1 is corrupt: its crc is 0x"):
        sensors_of(message, MOTORS, (5,))


def test_a_robot_of_type_0_is_a_simulator_and_only_on_loopback(policy: Policy) -> None:
    for is_loopback in (True, False):
        topics = FakeTopics(is_loopback)
        topics.incoming = [state(mode_machine=0)]
        robot = UnitreeRobot(policy.contract, topics)
        if is_loopback:
            robot.connect(0.1)
        else:
            with pytest.raises(DeployError, match="another robot"):
                robot.connect(0.1)


def test_a_command_moves_the_motors_of_its_joints(policy: Policy, topics: FakeTopics) -> None:
    topics.incoming = [state()]
    robot = UnitreeRobot(shuffled(policy.contract), topics)
    robot.connect(0.1)
    values = np.arange(29, dtype=np.float32)
    robot.write(JointCommand(0.01 * values, 10.0 + values, 1.0 + 0.1 * values))
    command = LowCmd.deserialize(topics.sent[-1])
    assert command.crc == command.checksum()
    assert (command.mode_pr, command.mode_machine) == (0, 5)
    for joint in range(29):
        motor = command.motor_cmd[28 - joint]
        assert (motor.mode, motor.dq, motor.tau) == (1, 0.0, 0.0)
        assert (motor.q, motor.kp, motor.kd) == pytest.approx((0.01 * joint, 10.0 + joint, 1.0 + 0.1 * joint))
    for motor in command.motor_cmd[29:]:
        assert (motor.mode, motor.q, motor.kp, motor.kd) == (0, 0.0, 0.0, 0.0)


def test_motors_that_the_policy_does_not_have_are_damped(policy: Policy, topics: FakeTopics) -> None:
    joints = policy.contract.robot.joints[:12]
    topics.incoming = [state()]
    robot = UnitreeRobot(replace(policy.contract, robot=replace(policy.contract.robot, joints=joints)), topics)
    robot.connect(0.1)
    legs = np.ones(12, np.float32)
    robot.write(JointCommand(legs, legs, legs))
    motors = LowCmd.deserialize(topics.sent[-1]).motor_cmd
    assert [(motor.mode, motor.kp, motor.kd) for motor in motors] == (
        [(1, 1.0, 1.0)] * 12 + [(1, 0.0, 8.0)] * 17 + [(0, 0.0, 0.0)] * 6
    )


def test_nothing_is_sent_before_the_first_reading(policy: Policy, topics: FakeTopics) -> None:
    robot = UnitreeRobot(policy.contract, topics)
    zeros = np.zeros(29, np.float32)
    with pytest.raises(DeployError, match="before the first reading"):
        robot.write(JointCommand(zeros, zeros, zeros))
    with pytest.raises(DeployError, match="no robot sends rt/lowstate"):
        robot.connect(0.05)
    assert topics.sent == []


@pytest.mark.parametrize("field", ["target", "stiffness", "damping"])
def test_a_command_that_is_not_finite_is_not_sent(robot: UnitreeRobot, topics: FakeTopics, field: str) -> None:
    zeros = np.zeros(29, np.float32)
    command = replace(JointCommand(zeros, zeros, zeros), **{field: np.full(29, np.inf, np.float32)})
    with pytest.raises(DeployError, match="not finite"):
        robot.write(command)
    assert topics.sent == []


def test_silence_is_an_error_and_so_is_a_robot_that_repeats_itself(
    robot: UnitreeRobot, topics: FakeTopics, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    topics.incoming = [state(2)]
    first = robot.read()
    now += 0.049
    assert robot.read() is first
    topics.incoming = [state(2)]
    now += 0.002
    with pytest.raises(DeployError, match="no new LowState for 51 ms"):
        robot.read()
    topics.incoming = [state(3)]
    assert robot.read() is not first


def test_one_corrupt_message_in_a_run_is_an_error(robot: UnitreeRobot, topics: FakeTopics) -> None:
    message = state(2)
    message.crc ^= 1
    topics.incoming = [message]
    with pytest.raises(DeployError, match="corrupt"):
        robot.read()


def test_two_robots_on_one_domain_are_an_error(robot: UnitreeRobot, topics: FakeTopics) -> None:
    topics.incoming = [state(2)]
    topics.incoming[0].sample_info.publication_handle = 8
    with pytest.raises(DeployError, match="two robots send rt/lowstate"):
        robot.read()


def test_a_policy_that_needs_more_sensors_or_other_motors_is_refused(policy: Policy, topics: FakeTopics) -> None:
    contract = policy.contract
    estimating = replace(contract, observation=replace(contract.observation, needs_state_estimation=True))
    with pytest.raises(DeployError, match="position or velocity of the root"):
        UnitreeRobot(estimating, topics)
    for motors in ([29, *MOTORS[1:]], [1, *MOTORS[1:]]):
        joints = [replace(joint, motor_index=motor) for joint, motor in zip(contract.robot.joints, motors, strict=True)]
        with pytest.raises(DeployError, match="a G1 has the motors 0 to 28"):
            motors_of(replace(contract, robot=replace(contract.robot, joints=joints)))
