"""A simulated G1 in its own process: it sends LowState, obeys LowCmd, and hangs in a gantry until it is commanded."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from mtrack_deploy.contract import Contract
from mtrack_deploy.errors import DeployError
from mtrack_deploy.mujoco_robot import MujocoRobot, SensorNoise
from mtrack_deploy.pace import Pace
from mtrack_deploy.rotations import Array, quat_to_matrix
from mtrack_deploy.unitree.link import UnitreeLink
from mtrack_deploy.unitree.messages import COMMAND_TOPIC, STATE_TOPIC, LowCmd, LowState
from mtrack_deploy.unitree.robot import G1_29DOF, OFF, ON, motors_of

PERIOD = 0.002
"""Time between two messages [s]."""
SILENCE = 0.1
"""Without a command for this time [s], the motors damp."""
_REST = 3.0
"""After this time without commands [s], a robot that has left the gantry is hung up again."""
_TICK_S = 0.001
_MOST_STEPS = 10
"""In one cycle; a computer that is behind by more loses simulated time."""
_UPRIGHT = np.array([1.0, 0.0, 0.0, 0.0], np.float32)


class Gantry:
    """Carries all bodies, and holds the pelvis by springs: first the robot's weight, then only its balance."""

    _STIFFNESS, _DAMPING = 8000.0, 600.0  # N/m, N s/m
    _TURN_STIFFNESS, _TURN_DAMPING = 500.0, 30.0  # N m/rad, N m s/rad
    _LOWERING = 0.5  # s
    _STEADY, _LETTING_GO = 2.0, 0.3  # s

    def __init__(self, robot: MujocoRobot, height: float) -> None:
        """Hold a robot at a height [m]."""
        self._data, self._height = robot.data, height
        self._weights = 9.81 * robot.model.body_mass
        self._since_release = -1.0

    @property
    def holds(self) -> bool:
        """Whether the robot has not been released."""
        return self._since_release < 0.0

    def hold(self) -> None:
        """Hold with full strength."""
        self._since_release = -1.0

    def release(self) -> None:
        """Start to lower the robot."""
        self._since_release = 0.0

    def pull(self, seconds: float) -> None:
        """Apply the forces of the next time step."""
        since = self._since_release
        weight = np.clip(1.0 - since / self._LOWERING, 0.0, 1.0)
        steady = np.clip(1.0 - (since - self._STEADY) / self._LETTING_GO, 0.0, 1.0)
        if not self.holds:
            self._since_release += seconds
        data = self._data
        off = np.array([0.0, 0.0, self._height]) - data.qpos[:3]
        turn, rotation = np.zeros(3), data.xmat[1].reshape(3, 3)
        mujoco.mju_quat2Vel(turn, data.qpos[3:7], 1.0)  # from upright, as axis times angle in the world
        spin = rotation @ data.qvel[3:6]
        force = self._STIFFNESS * off - self._DAMPING * data.qvel[:3]
        data.xfrc_applied[:] = 0.0
        data.xfrc_applied[:, 2] = weight * self._weights  # otherwise the torso sinks before its motors are stiff
        data.xfrc_applied[1, :3] += force * [steady, steady, weight]
        data.xfrc_applied[1, 3:] = -steady * (self._TURN_STIFFNESS * turn + self._TURN_DAMPING * spin)


class SimulatedG1:
    """MuJoCo in real time, speaking the robot's messages, 500 times a second. It checks commands strictly."""

    def __init__(
        self,
        folder: Path,
        contract: Contract,
        link: UnitreeLink,
        *,
        lowered_after: float = 3.0,
        noise: SensorNoise | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Hang the robot up in its default pose; it is lowered `lowered_after` seconds after the first command.

        Raises DeployError, also if messages could leave this computer.
        """
        if not link.is_loopback:
            raise DeployError("a simulated robot must not answer on a network: use the loopback interface")
        self.robot = MujocoRobot(folder, contract, noise=noise, timestep=PERIOD)
        self._motors, self._damping = motors_of(contract), contract.safety.damping_kd
        self._reader, self._writer = link.reader(COMMAND_TOPIC, LowCmd), link.writer(STATE_TOPIC, LowState)
        self._default = np.array([joint.default_pos for joint in contract.robot.joints], np.float32)
        self._height = contract.robot.root_height
        self._gantry = Gantry(self.robot, self._height)
        self._is_commanded = self._is_stiff = False
        self._first = self._last = 0.0  # times of commands
        self._sender = 0  # handle of the publication
        self._lowered_after, self._say = lowered_after, say
        self._state = LowState.blank()
        self._state.mode_machine = G1_29DOF
        self.pace = Pace()
        self._reached: float | None = None
        """Time up to which it has simulated."""
        self.lost = 0.0
        """Time that it could not simulate [s]: for the robot, it did not pass."""
        self.commands = 0
        """Commands obeyed."""
        self.rejected: Counter[str] = Counter()
        """Commands not obeyed, by reason."""
        self.lowest = float("inf")
        """Lowest height of the pelvis while it was free and its motors were stiff [m]."""
        self._hang_up()

    @property
    def height(self) -> float:
        """Height of the pelvis [m]."""
        return float(self.robot.data.qpos[2])

    def run(self, each_cycle: Callable[[], None], seconds: float = float("inf")) -> None:
        """Simulate in real time for a while; `each_cycle` may raise to end it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.cycle(time.monotonic())
            self.pace.wait(PERIOD)
            each_cycle()

    def cycle(self, now: float) -> None:
        """Take a command, simulate up to the time `now` [s], send the state."""
        samples: list[Any] = self._reader.take(1)
        for sample in samples:
            sender = sample.sample_info.publication_handle
            if isinstance(sample, LowCmd):  # not InvalidSample, which says that the sender has left
                self._obey(sample, sender, now)
        if self._is_commanded and now - self._last > SILENCE:
            self._is_commanded = False
            self._say(f"no command for {SILENCE:g} s: damping (pelvis at {self.height:.2f} m)")
            self._damp()
        if self._is_commanded and self._gantry.holds and now - self._first > self._lowered_after:
            self._gantry.release()
            self._say("the gantry lowers the robot, and steadies it for 2 s")
        if not self._is_commanded and not self._gantry.holds and now - self._last > _REST:
            self._hang_up()
            self._say("the robot hangs in the gantry again")
        for _ in range(self._steps(now)):
            self._gantry.pull(PERIOD)
            self.robot.wait(PERIOD)
            self._state.tick = (self._state.tick + round(PERIOD / _TICK_S)) % 2**32
        if self._is_stiff and not self._gantry.holds:
            self.lowest = min(self.lowest, self.height)
        self._writer.write(self.state())

    def _steps(self, now: float) -> int:
        """Return how many time steps to simulate: one, and more after a late cycle."""
        behind = PERIOD if self._reached is None else now - self._reached
        steps = min(max(1, round(behind / PERIOD)), _MOST_STEPS)
        lost = max(0.0, behind - _MOST_STEPS * PERIOD)
        self.lost += lost
        self._reached = now - behind + steps * PERIOD + lost
        return steps

    def state(self) -> LowState:
        """Return the message of the present state."""
        sensors, data, state = self.robot.read(), self.robot.data, self._state
        imu, gravity = state.imu_state, np.array([0.0, 0.0, -9.81])
        rotation = quat_to_matrix(sensors.root_quat_wxyz)
        imu.quaternion, imu.gyroscope = sensors.root_quat_wxyz.tolist(), sensors.root_ang_vel.tolist()
        imu.accelerometer = ((data.qacc[:3] - gravity) @ rotation).tolist()
        imu.rpy = _roll_pitch_yaw(rotation)
        torques = self.robot.torques().tolist()
        for index, q, dq, tau in zip(
            self._motors, sensors.joint_pos.tolist(), sensors.joint_vel.tolist(), torques, strict=True
        ):
            motor = state.motor_state[index]
            motor.mode, motor.q, motor.dq, motor.tau_est = ON, q, dq, tau
        state.crc = state.checksum()
        return state

    def _obey(self, command: LowCmd, sender: int, now: float) -> None:
        is_second = self._is_commanded and sender != self._sender
        problem = "a second program commands the robot" if is_second else problem_of(command)
        if problem:
            if not self.rejected[problem]:
                self._say(f"command rejected: {problem}")
            self.rejected[problem] += 1
            return
        if not self._is_commanded:
            self._first = now
            self._say("commands arrive")
        self._is_commanded, self._last, self._sender = True, now, sender
        self.commands += 1
        motors = [command.motor_cmd[index] for index in self._motors]
        on = np.array([motor.mode == ON for motor in motors], np.float32)
        values = {name: on * [getattr(motor, name) for motor in motors] for name in ("q", "dq", "tau", "kp", "kd")}
        self._is_stiff = bool(values["kp"].any())
        self.robot.drive(values["q"], values["kp"], values["kd"], velocity=values["dq"], torque=values["tau"])

    def _damp(self) -> None:
        self._is_stiff = False
        zeros = np.zeros_like(self._default)
        self.robot.drive(zeros, zeros, np.full_like(zeros, self._damping))

    def _hang_up(self) -> None:
        self.robot.place(np.array([0.0, 0.0, self._height], np.float32), _UPRIGHT, self._default)
        self._gantry.hold()
        self._damp()
        self._is_commanded = False


def problem_of(command: LowCmd) -> str:
    """Return why the robot must not obey a command; empty if it may."""
    if command.crc != command.checksum():
        return "wrong crc"
    if command.mode_pr:
        return f"mode_pr is {command.mode_pr}, not 0 (pitch and roll)"
    if command.mode_machine != G1_29DOF:
        return f"mode_machine is {command.mode_machine}, not {G1_29DOF}"
    if any(motor.mode not in (ON, OFF) for motor in command.motor_cmd):
        return "the mode of a motor is neither 0 nor 1"
    values = [(motor.q, motor.dq, motor.tau, motor.kp, motor.kd) for motor in command.motor_cmd]
    if not np.isfinite(values).all():
        return "a value is not finite"
    return "a gain is negative" if min(min(row[3:]) for row in values) < 0.0 else ""


def _roll_pitch_yaw(rotation: Array) -> list[float]:
    roll = np.arctan2(rotation[2, 1], rotation[2, 2])
    pitch = np.arcsin(np.clip(-rotation[2, 0], -1.0, 1.0))
    return [float(roll), float(pitch), float(np.arctan2(rotation[1, 0], rotation[0, 0]))]
