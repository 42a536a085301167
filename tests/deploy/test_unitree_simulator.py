"""The simulated robot: it obeys only sound commands, applies the motors' law, and damps without commands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mujoco
import numpy as np
import pytest

pytest.importorskip("cyclonedds", reason="cyclonedds is not installed: pip install cyclonedds")

from mtrack_deploy import DeployError, Policy
from mtrack_deploy.unitree.messages import LowCmd, LowState
from mtrack_deploy.unitree.robot import sensors_of
from mtrack_deploy.unitree.simulator import PERIOD, SimulatedG1, problem_of


class FakeLink:
    """Stands for a link and its reader and writer."""

    is_loopback = True

    def __init__(self) -> None:
        self.incoming: list[Any] = []
        self.sent: list[LowState] = []

    def reader(self, topic: str, message: type) -> FakeLink:
        return self

    def writer(self, topic: str, message: type) -> FakeLink:
        return self

    def take(self, count: int) -> list[Any]:
        taken, self.incoming = self.incoming[-count:], []
        return taken

    def write(self, message: LowState) -> None:
        self.sent.append(LowState.deserialize(message.serialize()))


@pytest.fixture
def link() -> FakeLink:
    return FakeLink()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def simulated(folder: Path, policy: Policy, link: FakeLink, said: list[str]) -> SimulatedG1:
    return SimulatedG1(folder, policy.contract, link, lowered_after=0.1, say=said.append)


def command(kp: float = 60.0, sender: int = 7, **changes: Any) -> LowCmd:
    message = LowCmd.blank()
    message.mode_machine = 5
    for motor in message.motor_cmd[:29]:
        motor.mode, motor.q, motor.kp, motor.kd = 1, 0.1, kp, 2.0
    for name, value in changes.items():
        setattr(message, name, value)
    message.crc = message.checksum()
    message.sample_info = SimpleNamespace(publication_handle=sender)
    return message


def _motor(**values: float) -> Callable[[LowCmd], None]:
    def change(message: LowCmd) -> None:
        for name, value in values.items():
            setattr(message.motor_cmd[3], name, value)

    return change


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda message: None, ""),
        (lambda message: setattr(message, "mode_pr", 1), "mode_pr is 1, not 0 (pitch and roll)"),
        (lambda message: setattr(message, "mode_machine", 4), "mode_machine is 4, not 5"),
        (_motor(mode=2), "the mode of a motor is neither 0 nor 1"),
        (_motor(q=float("nan")), "a value is not finite"),
        (_motor(tau=float("inf")), "a value is not finite"),
        (_motor(kd=-1.0), "a gain is negative"),
    ],
)
def test_only_sound_commands_are_obeyed(change: Callable[[LowCmd], None], problem: str) -> None:
    message = command()
    change(message)
    message.crc = message.checksum()
    assert problem_of(message) == problem
    message.crc ^= 1
    assert problem_of(message) == "wrong crc"


def test_the_motors_follow_the_law_of_the_robot(policy: Policy, simulated: SimulatedG1, link: FakeLink) -> None:
    message = command()
    for index, motor in enumerate(message.motor_cmd[:29]):
        motor.mode = int(index != 5)
        motor.q, motor.dq, motor.tau, motor.kp, motor.kd = 0.01 * index, 0.2, 1.0 - 0.1 * index, 10.0 + index, 0.5
    message.crc = message.checksum()
    link.incoming = [message]
    simulated.cycle(1.0)
    robot = simulated.robot
    robot.data.qvel[:] = 0.1
    mujoco.mj_forward(robot.model, robot.data)
    readings = robot.read()
    for index, torque in enumerate(robot.torques()):
        motor = message.motor_cmd[index]
        wanted = motor.tau + motor.kp * (motor.q - readings.joint_pos[index])
        wanted += motor.kd * (motor.dq - readings.joint_vel[index])
        limit = policy.contract.robot.joints[index].effort_limit
        assert torque == pytest.approx(np.clip(wanted, -limit, limit) if index != 5 else 0.0, abs=1e-3), index


def test_its_messages_are_those_that_the_other_side_accepts(simulated: SimulatedG1, link: FakeLink) -> None:
    for cycle in range(500):
        simulated.cycle(0.002 * cycle)
    assert [message.tick for message in link.sent] == list(range(2, 1002, 2))
    sensors = sensors_of(link.sent[-1], list(range(29)), (5,))
    readings = simulated.robot.read()
    assert sensors.joint_pos == pytest.approx(readings.joint_pos)
    assert sensors.root_ang_vel == pytest.approx(readings.root_ang_vel)
    assert link.sent[-1].imu_state.accelerometer == pytest.approx([0.0, 0.0, 9.81], abs=0.5)  # it hangs still


def test_a_late_cycle_simulates_the_time_that_has_passed(simulated: SimulatedG1, link: FakeLink) -> None:
    for now in (0.0, 0.002, 0.012, 0.0125, 0.016, 1.016, 1.018):
        simulated.cycle(now)
    assert np.diff([message.tick for message in link.sent]).tolist() == [2, 10, 2, 2, 20, 2]
    assert simulated.robot.data.time == pytest.approx(0.040)
    assert simulated.lost == pytest.approx(0.98, abs=0.005)


def test_it_hangs_until_it_is_commanded_and_damps_in_silence(
    simulated: SimulatedG1, link: FakeLink, said: list[str]
) -> None:
    now = 0.0
    for now in np.arange(0.0, 0.4, PERIOD):
        simulated.cycle(now)
    assert said == []
    assert simulated.height > 0.7
    for now in np.arange(0.4, 0.6, PERIOD):
        link.incoming = [command()]
        simulated.cycle(now)
    assert said == ["commands arrive", "the gantry lowers the robot, and steadies it for 2 s"]
    assert simulated.robot.model.actuator_gainprm[:29, 0] == pytest.approx(60.0)
    for now in np.arange(0.6, 0.75, PERIOD):
        simulated.cycle(now)
    assert said[2].startswith("no command for 0.1 s: damping")
    assert simulated.robot.model.actuator_gainprm[:29, 0] == pytest.approx(0.0)
    assert simulated.robot.model.actuator_biasprm[:29, 2] == pytest.approx(-8.0)
    simulated.cycle(now + 3.0)
    assert said[3:] == ["the robot hangs in the gantry again"]


def test_the_gantry_lets_go_of_the_weight_first(simulated: SimulatedG1, link: FakeLink) -> None:
    forces = []
    for now in np.arange(0.0, 2.6, PERIOD):
        link.incoming = [command()]
        simulated.cycle(now)
        forces.append(np.abs(simulated.robot.data.xfrc_applied).sum(0))
    at = {seconds: forces[round(seconds / PERIOD)] for seconds in (0.05, 1.0, 2.5)}
    assert at[0.05][2] > 0.9 * 33.3 * 9.81  # newtons upwards
    assert at[1.0][2] == 0.0
    assert at[1.0][3:].max() > 0.1  # newton metres
    assert at[2.5].max() == 0.0


def test_a_rejected_command_does_not_keep_it_awake(simulated: SimulatedG1, link: FakeLink, said: list[str]) -> None:
    for now in np.arange(0.0, 0.3, PERIOD):
        link.incoming = [command() if now < 0.05 else command(mode_pr=1)]
        simulated.cycle(now)
    assert said[1] == "command rejected: mode_pr is 1, not 0 (pitch and roll)"
    assert said[-1].startswith("no command for 0.1 s")
    assert sum(simulated.rejected.values()) == 125


def test_a_second_program_is_not_obeyed(simulated: SimulatedG1, link: FakeLink, said: list[str]) -> None:
    for cycle in range(20):
        link.incoming = [command(kp=60.0 - 50.0 * (cycle % 2), sender=7 + cycle % 2)]
        simulated.cycle(PERIOD * cycle)
    assert said == ["commands arrive", "command rejected: a second program commands the robot"]
    assert simulated.robot.model.actuator_gainprm[:29, 0] == pytest.approx(60.0)
    for now in (0.3, 0.4):  # after a silence anyone may command it
        simulated.cycle(now)
    link.incoming = [command(kp=10.0, sender=8)]
    simulated.cycle(0.402)
    assert simulated.robot.model.actuator_gainprm[:29, 0] == pytest.approx(10.0)


def test_it_never_answers_on_a_network(folder: Path, policy: Policy, link: FakeLink) -> None:
    link.is_loopback = False
    with pytest.raises(DeployError, match="must not answer on a network"):
        SimulatedG1(folder, policy.contract, link)
