"""Unitree's messages: bytes on the wire as cyclonedds writes them, and checksums as the robot's SDK computes them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import pytest

pytest.importorskip("cyclonedds", reason="cyclonedds is not installed: pip install cyclonedds")

from cyclonedds.idl import IdlStruct
from cyclonedds.idl._support import Endianness

from mtrack_deploy.unitree.messages import MOTORS, ImuState, LowCmd, LowState

# Computed once with the CRC class of unitree_sdk2py 1.0.3 for the two messages below.
SDK_CRC_OF_COMMAND, SDK_CRC_OF_STATE = 0x56417B9D, 0xAAFE8D3


def command() -> LowCmd:
    message = LowCmd.blank()
    message.mode_machine, message.reserve = 5, [1, 2, 3, 2**32 - 1]
    for index, motor in enumerate(message.motor_cmd):
        motor.mode, motor.q, motor.dq, motor.tau = index % 2, 0.1 * index - 1.0, -0.3 * index, 7.0 - index
        motor.kp, motor.kd, motor.reserve = 40.0 + index, 2.5, index
    message.crc = message.checksum()
    return message


def state() -> LowState:
    message = LowState.blank()
    message.version, message.mode_machine, message.tick = [3, 4], 5, 70_000
    message.imu_state = ImuState([0.5, 0.5, -0.5, 0.5], [0.1, -0.2, 0.3], [0.4, 0.5, 9.6], [1.0, 2.0, 3.0], -31)
    for index, motor in enumerate(message.motor_state):
        motor.mode, motor.q, motor.dq, motor.ddq, motor.tau_est = 1, 0.02 * index, -0.3 * index, 0.5, 3.0 - index
        motor.temperature, motor.vol, motor.sensor = [30 + index, -40], 48.5, [index, 8]
        motor.motorstate, motor.reserve = 2**31, [1, 2, 3, 4]
    message.wireless_remote, message.reserve = list(range(40)), [5, 6, 7, 8]
    message.crc = message.checksum()
    return message


BOTH = pytest.mark.parametrize("make", [command, state])


class _MotorCmdC(ctypes.LittleEndianStructure):
    _fields_ = [("mode", ctypes.c_uint8)] + [(name, ctypes.c_float) for name in ("q", "dq", "tau", "kp", "kd")]
    _fields_ += [("reserve", ctypes.c_uint32)]


class _LowCmdC(ctypes.LittleEndianStructure):
    _fields_ = [("mode_pr", ctypes.c_uint8), ("mode_machine", ctypes.c_uint8), ("motor_cmd", _MotorCmdC * MOTORS)]
    _fields_ += [("reserve", ctypes.c_uint32 * 4), ("crc", ctypes.c_uint32)]


def bit_by_bit(words: list[int]) -> int:
    """Return the CRC-32 of words as the definition says, one bit at a time."""
    crc = 0xFFFFFFFF
    for word in words:
        for bit in range(31, -1, -1):
            crc = ((crc << 1) ^ (0x04C11DB7 if (crc >> 31) ^ ((word >> bit) & 1) else 0)) & 0xFFFFFFFF
    return crc


def test_checksums_are_those_of_unitrees_sdk() -> None:
    assert (hex(command().crc), hex(state().crc)) == (hex(SDK_CRC_OF_COMMAND), hex(SDK_CRC_OF_STATE))


def test_the_checksum_of_a_command_is_the_crc_of_its_c_struct() -> None:
    ours, theirs = command(), _LowCmdC()
    theirs.mode_pr, theirs.mode_machine = ours.mode_pr, ours.mode_machine
    theirs.reserve[:] = ours.reserve
    for motor, values in zip(theirs.motor_cmd, ours.motor_cmd, strict=True):
        for name, _ in _MotorCmdC._fields_:
            setattr(motor, name, getattr(values, name))
    words = (ctypes.c_uint32 * (ctypes.sizeof(theirs) // 4)).from_buffer(theirs)
    assert ctypes.sizeof(theirs) == 1004
    assert ours.checksum() == bit_by_bit(list(words)[:-1])


@BOTH
def test_bytes_on_the_wire_are_those_of_cyclonedds(make: Callable[[], IdlStruct]) -> None:
    message = make()
    wire = IdlStruct.serialize(message)
    assert message.serialize() == wire
    parsed = type(message).deserialize(wire)
    assert parsed.checksum() == message.crc == parsed.crc
    assert parsed.serialize() == wire


@BOTH
def test_bytes_in_another_order_are_parsed_too(make: Callable[[], IdlStruct]) -> None:
    message = make()
    wire = IdlStruct.serialize(message, endianness=Endianness.Big)
    assert type(message).deserialize(wire).serialize() == message.serialize()


@BOTH
def test_a_changed_byte_changes_the_checksum(make: Callable[[], IdlStruct]) -> None:
    message = make()
    wire = message.serialize()
    padding = 0
    for place in range(4, len(wire) - 4, 3):
        changed = bytearray(wire)
        changed[place] ^= 0x10
        parsed = type(message).deserialize(bytes(changed))
        if parsed.serialize() == wire:
            padding += 1
        else:
            assert parsed.checksum() != message.crc, place
    assert padding < 40


@BOTH
def test_a_truncated_message_is_an_error(make: Callable[[], IdlStruct]) -> None:
    message = make()
    with pytest.raises(Exception, match=r"\w"):
        type(message).deserialize(message.serialize()[:100])
