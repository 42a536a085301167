"""The controller in motion: limits, and stops into damping whatever goes wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.on_reference import sensors_at

from mtrack_deploy import Controller, DeployError, JointCommand, MotionPlayer, Policy, Sensors, Window
from mtrack_deploy.rotations import quat_of_axis


def started(policy: Policy, clip: Window) -> tuple[Controller, Sensors]:
    player = MotionPlayer(policy.contract)
    sensors = sensors_at(clip)
    player.start(clip, sensors)
    controller = Controller(policy, player)
    controller.start(sensors)
    return controller, sensors


def is_damping(controller: Controller, sensors: Sensors) -> bool:
    """Return whether the controller commands damping alone, with finite numbers."""
    command = controller.command(sensors)
    assert np.isfinite(command.target).all()
    return bool(not command.stiffness.any() and (command.damping == 8.0).all())


NAN = np.float32(np.nan)
BROKEN = {
    "joint_vel": ({"joint_vel": np.full(29, NAN)}, "joint_vel is not finite"),
    "joint_pos": ({"joint_pos": np.full(29, NAN)}, "joint_pos is not finite"),
    "orientation": ({"root_quat_wxyz": np.full(4, NAN)}, "root_quat_wxyz is not finite"),
    "no orientation": ({"root_quat_wxyz": np.zeros(4, np.float32)}, "not a unit quaternion"),
    "width": ({"joint_pos": np.zeros(28, np.float32)}, "joint_pos has shape"),
    "tilt": ({"root_quat_wxyz": quat_of_axis(np.array([1.0, 0.0, 0.0]), 1.1)}, "tilted by 1.1"),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("where", ["step", "command"])
def test_a_bad_reading_stops_into_damping(policy: Policy, clip: Window, name: str, where: str) -> None:
    controller, sensors = started(policy, clip)
    changes, reason = BROKEN[name]
    broken = replace(sensors, **changes)
    controller.step(sensors)
    assert not is_damping(controller, sensors)
    if where == "step":
        controller.step(broken)
    assert is_damping(controller, broken)
    assert reason in controller.stopped
    controller.step(sensors)
    assert is_damping(controller, sensors), "it stays stopped"
    controller.start(sensors)
    controller.step(sensors)
    assert not is_damping(controller, sensors), "until it is started again"


def test_a_policy_that_gives_no_finite_action_stops(
    policy: Policy, clip: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    controller, sensors = started(policy, clip)
    monkeypatch.setattr(Policy, "__call__", lambda *_: np.full(29, NAN))
    controller.step(sensors)
    assert is_damping(controller, sensors)
    assert "action is not finite" in controller.stopped
    controller.start(sensors)
    monkeypatch.setattr(Policy, "__call__", lambda *_: 1 / 0)
    controller.step(sensors)
    assert "ZeroDivisionError" in controller.stopped


def test_without_a_start_or_a_step_there_is_only_damping(policy: Policy, clip: Window) -> None:
    sensors = sensors_at(clip)
    player = MotionPlayer(policy.contract)
    player.start(clip, sensors)
    controller = Controller(policy, player)
    controller.step(sensors)
    assert is_damping(controller, sensors)
    controller.start(sensors)
    assert is_damping(controller, sensors), "a command needs a step"
    far = replace(sensors, joint_pos=sensors.joint_pos + np.eye(29, dtype=np.float32)[3])
    with pytest.raises(DeployError, match=r"joint 'left_knee_joint' is 1\.00 rad from the first frame"):
        controller.start(far)
    controller.step(sensors)
    assert is_damping(controller, sensors), "a start that failed is no start"


class LostRobot:
    """A robot whose connection breaks after some readings."""

    def __init__(self, sensors: Sensors, readings: int) -> None:
        self.sensors, self.left = sensors, readings
        self.commands: list[JointCommand] = []

    def read(self) -> Sensors:
        self.left -= 1
        if self.left < 0:
            raise DeployError("no reading for 0.1 s")
        return self.sensors

    def write(self, command: JointCommand) -> None:
        self.commands.append(command)

    def wait(self, seconds: float) -> None:
        assert seconds == 0.005


def test_a_robot_that_is_lost_gets_a_last_damping_command(policy: Policy, clip: Window) -> None:
    controller, sensors = started(policy, clip)
    robot = LostRobot(sensors, 10)
    with pytest.raises(DeployError, match="no reading"):
        controller.run(robot, 10)
    assert len(robot.commands) == 11
    assert robot.commands[-2].stiffness.all()
    assert not robot.commands[-1].stiffness.any()


def test_targets_stay_within_range_torque_and_speed(policy: Policy, clip: Window) -> None:
    controller, sensors = started(policy, clip)
    contract, safety = policy.contract, controller.safety
    before = sensors.joint_pos
    for _ in range(400):
        command = safety.limit(np.full(29, 50.0, np.float32), sensors)
        torque = command.stiffness * (command.target - sensors.joint_pos) - command.damping * sensors.joint_vel
        for joint, target, asked in zip(contract.robot.joints, command.target, torque, strict=True):
            assert target <= joint.upper + contract.safety.target_margin_rad + 1e-6
            assert abs(asked) <= contract.safety.torque_share * joint.effort_limit * 1.0001
        limits = np.array([joint.velocity_limit for joint in contract.robot.joints])
        step = contract.safety.slew_factor * limits * contract.timing.physics_dt
        assert (command.target - before <= step + 1e-6).all()
        before = command.target
    assert set(safety.counts) == {"slew", "range", "torque"}
