"""Rolls out a policy in plain MuJoCo, from the first frame of a clip until some time after its end."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mtrack_deploy.clips import read_clip
from mtrack_deploy.contract import Contract
from mtrack_deploy.controller import Controller
from mtrack_deploy.mujoco_robot import MujocoRobot, SensorNoise
from mtrack_deploy.player import MotionPlayer
from mtrack_deploy.policy import Policy
from mtrack_deploy.rotations import Array, quat_conjugate, quat_multiply
from mtrack_deploy.sensors import Window

_FALLEN = 0.6
"""A robot has fallen if its root is lower than this share of the reference's height."""


@dataclass(frozen=True)
class RecordedRollout:
    """The states of one rollout: its start, and after each control step; T + 1 of them."""

    root_pos: Array
    """[T + 1, 3] m."""
    root_quat_wxyz: Array
    """[T + 1, 4]."""
    root_lin_vel: Array
    """[T + 1, 3] m/s, in the world."""
    root_ang_vel: Array
    """[T + 1, 3] rad/s, in the frame of the root."""
    joint_pos: Array
    """[T + 1, J] rad."""
    joint_vel: Array
    """[T + 1, J] rad/s."""
    stands: bool
    """Whether it was still up at the end."""
    stopped: str
    """Why the controller stopped; empty if it did not."""
    limited: Counter[str] = field(default_factory=Counter)
    """How often each limit was needed, in joints and physics steps."""


def roll_out(
    policy: Policy, clip: str, *, seed: int = 0, noisy: bool = True, seconds_after: float = 5.0, at_end: str = ""
) -> RecordedRollout:
    """Play a clip from its first frame with the delay and the sensor noise of training.

    Commands are delayed as a whole; training delays the actions, but not the reference that some are added to. The
    delay is drawn once, as in training; the same seed gives the same rollout. Raises DeployError.
    """
    return roll_out_frames(
        policy,
        read_clip(policy.folder, policy.contract, clip),
        seeds=(seed, zlib.crc32(clip.encode())),
        noisy=noisy,
        seconds_after=seconds_after,
        at_end=at_end,
    )


def roll_out_frames(
    policy: Policy, frames: Window, *, seeds: Sequence[int], noisy: bool, seconds_after: float = 0.0, at_end: str = ""
) -> RecordedRollout:
    """Play frames of a motion, as `roll_out` does with those of a clip. Raises DeployError."""
    contract = policy.contract
    rng = np.random.default_rng(list(seeds))
    longest = round(contract.action.expected_delay_s[1] / contract.timing.physics_dt)
    noise = SensorNoise.in_training(contract) if noisy else None
    delay = int(rng.integers(longest + 1)) if noisy else 0
    robot = MujocoRobot(policy.folder, contract, delay=delay, noise=noise, seed=int(rng.integers(2**31)))
    robot.place(frames.root_pos[0], frames.root_quat_wxyz[0], frames.joint_pos[0], start_velocity(frames, contract))
    player = MotionPlayer(contract, at_end)
    sensors = robot.exact()
    player.start(frames, sensors)
    controller = Controller(policy, player)
    controller.start(sensors)
    states = [robot.state()]
    for _ in range(len(frames) - 1 + round(seconds_after / contract.timing.control_dt)):
        controller.run(robot, 1)
        states.append(robot.state())
    pos, quat, lin_vel, ang_vel, joint_pos, joint_vel = (np.stack(column) for column in zip(*states, strict=True))
    height = float(player.window().root_pos[0, 2])
    return RecordedRollout(
        root_pos=pos,
        root_quat_wxyz=quat,
        root_lin_vel=lin_vel,
        root_ang_vel=ang_vel,
        joint_pos=joint_pos,
        joint_vel=joint_vel,
        stands=not controller.stopped and float(pos[-1, 2]) > _FALLEN * height,
        stopped=controller.stopped,
        limited=controller.safety.counts,
    )


def start_velocity(clip: Window, contract: Contract) -> Array:
    """Return the velocities of a clip's first frame as `MujocoRobot.place` takes them; the root's are differences."""
    if len(clip) < 2:
        return np.zeros(6 + clip.joint_vel.shape[1], np.float32)
    rate = contract.reference.rate_hz
    linear = (clip.root_pos[1] - clip.root_pos[0]) * rate
    apart = quat_multiply(quat_conjugate(clip.root_quat_wxyz[0]), clip.root_quat_wxyz[1])
    angular = 2.0 * rate * apart[1:] * np.sign(apart[0])  # of a small rotation
    return np.concatenate((linear, angular, clip.joint_vel[0]))
