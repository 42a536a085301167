"""The G1 through Unitree's low-level messages: `UnitreeRobot`, which a controller drives like a simulated one."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from cyclonedds.core import DDSException

from mtrack_deploy.contract import Contract
from mtrack_deploy.errors import DeployError
from mtrack_deploy.pace import Pace
from mtrack_deploy.safety import JointCommand
from mtrack_deploy.sensors import Sensors
from mtrack_deploy.unitree.link import UnitreeLink
from mtrack_deploy.unitree.messages import COMMAND_TOPIC, STATE_TOPIC, LowCmd, LowState

G1_MOTORS = 29
G1_29DOF = 5
"""`mode_machine` of a G1 with 29 motors."""
ON, OFF = 1, 0
_SELECT, _B = 0x8, 0x2


class UnitreeRobot:
    """Reads rt/lowstate and writes rt/lowcmd. Orientation and gyroscope are those of the IMU in the pelvis.

    Nothing is sent before the first `write`. A message that is corrupt, stale or from another robot raises DeployError,
    and so does the button B or Select of the remote control; the caller then has to damp the robot.
    """

    def __init__(
        self, contract: Contract, link: UnitreeLink, *, mode_machine: int = G1_29DOF, longest_silence: float = 0.05
    ) -> None:
        """Subscribe and publish. `longest_silence` [s] is the age at which the last reading is too old.

        Raises DeployError if the policy's motors are not those of a G1, or if it needs a state estimator.
        """
        self._motors = motors_of(contract)
        if contract.observation.needs_state_estimation:
            raise DeployError("this policy reads position or velocity of the root, which the messages do not have")
        self._mode_machine, self._longest_silence = mode_machine, longest_silence
        self._link = link
        self._reader, self._writer = link.reader(STATE_TOPIC, LowState), link.writer(COMMAND_TOPIC, LowCmd)
        self._command = LowCmd.blank()
        for motor in self._command.motor_cmd[:G1_MOTORS]:  # those that the policy does not move are damped
            motor.mode, motor.kd = ON, contract.safety.damping_kd
        self._tick = self._reported = -1
        self._arrived = 0.0
        self._sender = 0  # handle of the robot's publication
        self._sensors: Sensors | None = None
        self.pace = Pace()
        self.readings = 0
        """Messages received."""
        self.ages: list[float] = []
        """Age of each message when it was read [s]; only over loopback, where both clocks are the same."""

    def connect(self, seconds: float = 5.0) -> Sensors:
        """Return the first readings. Raises DeployError if no robot answers in time."""
        end = time.monotonic() + seconds
        problem = (
            f"no robot sends {STATE_TOPIC} on this interface and domain: start it (a simulated one: `python -m "
            "mtrack_deploy simulate DIR`), and give --interface, --domain and --peer as it needs them"
        )
        while time.monotonic() < end:
            try:
                if self._take():
                    return self.read()
            except DeployError as error:  # e.g. an IMU that does not measure yet
                problem = str(error)
            time.sleep(0.01)
        raise DeployError(problem)

    def read(self) -> Sensors:
        """Return the newest readings. Raises DeployError if they are too old, corrupt, or from another robot."""
        self._take()
        silence = time.monotonic() - self._arrived
        if self._sensors is None or silence > self._longest_silence:
            raise DeployError(f"no new LowState for {1e3 * silence:.0f} ms: the robot or the network is down")
        return self._sensors

    def write(self, command: JointCommand) -> None:
        """Send a command. Raises DeployError before the first reading, and if a value is not finite."""
        if self._reported < 0:
            raise DeployError("no command can be sent before the first reading: call connect()")
        target, stiffness, damping = command.target, command.stiffness, command.damping
        if not all(np.isfinite(values).all() for values in (target, stiffness, damping)):
            raise DeployError("a command is not finite")
        message = self._command
        for index, q, kp, kd in zip(self._motors, target.tolist(), stiffness.tolist(), damping.tolist(), strict=True):
            motor = message.motor_cmd[index]
            motor.q, motor.kp, motor.kd = q, kp, kd
        message.mode_machine = self._reported
        message.crc = message.checksum()
        try:
            self._writer.write(message)
        except DDSException as error:
            raise DeployError(f"cannot send {COMMAND_TOPIC}: {error}") from None

    def wait(self, seconds: float) -> None:
        """Wait for the next cycle."""
        self.pace.wait(seconds)

    def _take(self) -> bool:
        """Take the newest message if there is one, and return whether it is new. Raises DeployError if it is bad."""
        samples: list[Any] = self._reader.take(1)
        state = samples[0] if samples else None
        if not isinstance(state, LowState):  # an InvalidSample says that the robot has left
            return False
        info = samples[0].sample_info
        self.readings += 1
        if self._sender not in (0, info.publication_handle):
            raise DeployError(f"two robots send {STATE_TOPIC} on this domain, or the robot has started again")
        self._sender = info.publication_handle
        sensors = sensors_of(state, self._motors, self._accepted())
        self._reported = state.mode_machine
        if state.tick == self._tick:
            return False  # the robot repeats itself: its readings get older
        self._sensors, self._tick, self._arrived = sensors, state.tick, time.monotonic()
        if self._link.is_loopback:
            self.ages.append(time.time() - 1e-9 * info.source_timestamp)
        return True

    def _accepted(self) -> tuple[int, ...]:
        """Return the types of robots that may answer; simulators often leave the field 0."""
        return (self._mode_machine, 0) if self._link.is_loopback else (self._mode_machine,)


def motors_of(contract: Contract) -> list[int]:
    """Return the motor of each joint. Raises DeployError unless they are different motors of a G1."""
    motors = [joint.motor_index for joint in contract.robot.joints]
    if len(set(motors)) != len(motors) or not set(motors) <= set(range(G1_MOTORS)):
        raise DeployError(f"robot.joints have the motors {motors}; a G1 has the motors 0 to {G1_MOTORS - 1}")
    return motors


def sensors_of(state: LowState, motors: list[int], mode_machines: tuple[int, ...]) -> Sensors:
    """Return the readings in a message, joints in the order of `motors`.

    Raises DeployError if the checksum is wrong, if `mode_machine` is another, if the ankles are not
    reported as pitch and roll, before the IMU measures, if a value is not finite, or if a stop button is pressed.
    """
    if state.crc != state.checksum():
        raise DeployError(f"LowState {state.tick} is corrupt: its crc is {state.crc:#x}, not {state.checksum():#x}")
    if state.mode_machine not in mode_machines:
        raise DeployError(
            f"this is another robot: its mode_machine is {state.mode_machine}, expected {mode_machines[0]} "
            "(5: G1 with 29 motors, 4: with 23)"
        )
    if state.mode_pr:
        raise DeployError(f"mode_pr is {state.mode_pr}: the robot reports motors of ankles and waist, not joints")
    if not any(state.imu_state.quaternion):
        raise DeployError("the IMU does not measure yet: its quaternion is 0 0 0 0")
    if state.wireless_remote[2] & _SELECT or state.wireless_remote[3] & _B:
        raise DeployError("a stop button (B or Select) of the remote control is pressed")
    used = [state.motor_state[index] for index in motors]
    sensors = Sensors(
        root_quat_wxyz=np.array(state.imu_state.quaternion, np.float32),
        root_ang_vel=np.array(state.imu_state.gyroscope, np.float32),
        joint_pos=np.array([motor.q for motor in used], np.float32),
        joint_vel=np.array([motor.dq for motor in used], np.float32),
    )
    return sensors.checked(len(motors))
