"""Unitree's low-level messages of humanoids (family `hg`), and their checksum.

Names, order and types of the fields are those of Unitree's own IDL files: DDS only connects equal types. The messages
have a fixed size, so `struct` packs and parses them, about ten times as fast as cyclonedds' general code in Python.
"""

import struct
import zlib
from dataclasses import dataclass
from typing import Annotated, Any, Self

from cyclonedds.idl import IdlStruct, annotations, types

MOTORS = 35
"""Motors in a message; the G1 uses the first 29."""

Shorts2 = Annotated[list[int], types.array(types.int16, 2)]
Words2 = Annotated[list[int], types.array(types.uint32, 2)]
Words4 = Annotated[list[int], types.array(types.uint32, 4)]
Bytes40 = Annotated[list[int], types.array(types.uint8, 40)]
Floats3 = Annotated[list[float], types.array(types.float32, 3)]
Floats4 = Annotated[list[float], types.array(types.float32, 4)]

STATE_TOPIC, COMMAND_TOPIC = "rt/lowstate", "rt/lowcmd"
_HEADER = b"\x00\x01"
"""Start of a sample in little-endian CDR, version 1."""

# The checksum covers the C structs of Unitree's SDK, in which each struct starts at a multiple of 4 bytes; on the wire
# only each field is aligned. The two differ in the padding before the first motor.
_MOTOR_COMMAND, _MOTOR = "5fI", "4f2hf7I"
_COMMAND = struct.Struct("<2B2x" + f"B3x{_MOTOR_COMMAND}" * MOTORS + "5I")
_COMMAND_ON_WIRE = struct.Struct(f"<2BBx{_MOTOR_COMMAND}" + f"B3x{_MOTOR_COMMAND}" * (MOTORS - 1) + "5I")
_STATE = struct.Struct("<2I2B2xI13fh2x" + f"B3x{_MOTOR}" * MOTORS + "40B5I")
_STATE_ON_WIRE = struct.Struct(f"<2I2B2xI13fhBx{_MOTOR}" + f"B3x{_MOTOR}" * (MOTORS - 1) + "40B5I")
_MIRRORED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))


@dataclass
@annotations.final
@annotations.autoid("sequential")
class MotorCmd(IdlStruct, typename="unitree_hg.msg.dds_.MotorCmd_"):
    """What one motor does: torque = tau + kp (q - position) + kd (dq - velocity)."""

    mode: types.uint8 = 0
    """1: on; 0: off."""
    q: types.float32 = 0.0
    """rad."""
    dq: types.float32 = 0.0
    """rad/s."""
    tau: types.float32 = 0.0
    """N m."""
    kp: types.float32 = 0.0
    """N m/rad."""
    kd: types.float32 = 0.0
    """N m s/rad."""
    reserve: types.uint32 = 0


@dataclass
@annotations.final
@annotations.autoid("sequential")
class LowCmd(IdlStruct, typename="unitree_hg.msg.dds_.LowCmd_"):
    """A command to all motors."""

    mode_pr: types.uint8
    """0: pitch and roll of ankles and waist; 1: the two motors behind each."""
    mode_machine: types.uint8
    """Type of the robot, as its LowState gives it."""
    motor_cmd: Annotated[list[MotorCmd], types.array(MotorCmd, MOTORS)]
    reserve: Words4
    crc: types.uint32

    @classmethod
    def blank(cls) -> Self:
        """Return a command with all motors off, without checksum."""
        return cls(0, 0, [MotorCmd() for _ in range(MOTORS)], [0] * 4, 0)

    def serialize(self, *_: Any, **__: Any) -> bytes:
        """Return the bytes on the wire, little-endian CDR."""
        return _on_wire(_COMMAND_ON_WIRE, *self._values(), self.crc)

    @classmethod
    def deserialize(cls, data: bytes, *options: Any, **named: Any) -> Self:
        """Return the message in some bytes."""
        if not _is_plain(data, _COMMAND_ON_WIRE):
            return super().deserialize(data, *options, **named)
        values = _COMMAND_ON_WIRE.unpack_from(data, 4)
        motors = [MotorCmd(*values[start : start + 7]) for start in range(2, 2 + 7 * MOTORS, 7)]
        return cls(values[0], values[1], motors, list(values[-5:-1]), values[-1])

    def checksum(self) -> int:
        """Return what `crc` must be."""
        return _crc(_COMMAND.pack(*self._values(), 0))

    def _values(self) -> list[Any]:
        values: list[Any] = [self.mode_pr, self.mode_machine]
        for motor in self.motor_cmd:
            values += (motor.mode, motor.q, motor.dq, motor.tau, motor.kp, motor.kd, motor.reserve)
        return values + self.reserve


@dataclass
@annotations.final
@annotations.autoid("sequential")
class ImuState(IdlStruct, typename="unitree_hg.msg.dds_.IMUState_"):
    """Readings of the IMU in the pelvis."""

    quaternion: Floats4
    """w, x, y, z; all 0 before the first measurement."""
    gyroscope: Floats3
    """rad/s, in the axes of the pelvis."""
    accelerometer: Floats3
    """m/s2, in the axes of the pelvis."""
    rpy: Floats3
    """rad."""
    temperature: types.int16


@dataclass
@annotations.final
@annotations.autoid("sequential")
class MotorState(IdlStruct, typename="unitree_hg.msg.dds_.MotorState_"):
    """Readings of one motor."""

    mode: types.uint8
    q: types.float32
    """rad."""
    dq: types.float32
    """rad/s."""
    ddq: types.float32
    """rad/s2."""
    tau_est: types.float32
    """N m."""
    temperature: Shorts2
    """Of shell and winding, in degrees Celsius."""
    vol: types.float32
    """V."""
    sensor: Words2
    motorstate: types.uint32
    reserve: Words4


@dataclass
@annotations.final
@annotations.autoid("sequential")
class LowState(IdlStruct, typename="unitree_hg.msg.dds_.LowState_"):
    """Readings of the whole robot."""

    version: Words2
    mode_pr: types.uint8
    mode_machine: types.uint8
    tick: types.uint32
    """ms; changes with each message."""
    imu_state: ImuState
    motor_state: Annotated[list[MotorState], types.array(MotorState, MOTORS)]
    wireless_remote: Bytes40
    """Buttons and sticks of the remote control."""
    reserve: Words4
    crc: types.uint32

    @classmethod
    def blank(cls) -> Self:
        """Return a message of zeros."""
        return cls._of((0,) * (19 + 15 * MOTORS + 40 + 5))

    def serialize(self, *_: Any, **__: Any) -> bytes:
        """Return the bytes on the wire, little-endian CDR."""
        return _on_wire(_STATE_ON_WIRE, *self._values(), self.crc)

    @classmethod
    def deserialize(cls, data: bytes, *options: Any, **named: Any) -> Self:
        """Return the message in some bytes."""
        if not _is_plain(data, _STATE_ON_WIRE):
            return super().deserialize(data, *options, **named)
        return cls._of(_STATE_ON_WIRE.unpack_from(data, 4))

    def checksum(self) -> int:
        """Return what `crc` must be."""
        return _crc(_STATE.pack(*self._values(), 0))

    @classmethod
    def _of(cls, values: tuple[Any, ...]) -> Self:
        """Return the message with the values of all fields, in order."""
        at = values[5:19]
        imu = ImuState(list(at[:4]), list(at[4:7]), list(at[7:10]), list(at[10:13]), at[13])
        motors = []
        for start in range(19, 19 + 15 * MOTORS, 15):
            mode, q, dq, ddq, tau, shell, winding, vol, *words = values[start : start + 15]
            motors.append(MotorState(mode, q, dq, ddq, tau, [shell, winding], vol, words[:2], words[2], words[3:]))
        mode_pr, mode_machine, tick = values[2:5]
        remote, reserve = list(values[-45:-5]), list(values[-5:-1])
        return cls(list(values[:2]), mode_pr, mode_machine, tick, imu, motors, remote, reserve, values[-1])

    def _values(self) -> list[Any]:
        imu = self.imu_state
        values = [*self.version, self.mode_pr, self.mode_machine, self.tick, *imu.quaternion, *imu.gyroscope]
        values += [*imu.accelerometer, *imu.rpy, imu.temperature]
        for motor in self.motor_state:
            values += (motor.mode, motor.q, motor.dq, motor.ddq, motor.tau_est, *motor.temperature, motor.vol)
            values += (*motor.sensor, motor.motorstate, *motor.reserve)
        return [*values, *self.wireless_remote, *self.reserve]


def _on_wire(layout: struct.Struct, *values: Any) -> bytes:
    return _HEADER + b"\x00\x00" + layout.pack(*values)


def _is_plain(data: bytes, layout: struct.Struct) -> bool:
    """Return whether a sample can be parsed with a layout; cyclonedds parses any other one."""
    return bytes(data[:2]) == _HEADER and len(data) >= 4 + layout.size


def _crc(packed: bytes) -> int:
    """Return the checksum of a C struct whose last word is the checksum itself.

    It is a CRC-32 (polynomial 0x04C11DB7, start 0xFFFFFFFF) over little-endian words, most significant bit first. zlib
    computes the one with the least significant bit first, so every byte and the result are mirrored.
    """
    words = struct.unpack(f">{len(packed) // 4 - 1}I", packed[:-4])
    mirrored = struct.pack(f"<{len(words)}I", *words).translate(_MIRRORED)
    return int(f"{zlib.crc32(mirrored) ^ 0xFFFFFFFF:032b}"[::-1], 2)
