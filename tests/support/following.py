"""A `motion_tracking` command over a few made-up clips, bound to a scene without physics."""

from __future__ import annotations

import numpy as np
import torch

from mtrack.exchange import Clip
from mtrack.math import quat_from_rotation_vector
from mtrack_g1.robot import G1
from mtrack_tracking.command import MotionTracking
from support.scenes import random_scene

ROWS = torch.arange(8)
LENGTHS = (120, 400)


class Walks:
    """Clips in which the root goes ahead by 1 cm a frame, turning slowly, and the joints swing a little."""

    def __init__(self, *lengths):
        self.lengths = lengths

    def clips(self, robot):
        return [self.clip(robot, f"walk{length}", length) for length in self.lengths]

    def clip(self, robot, name, length):
        frame = np.arange(length, dtype=np.float32)[:, None]
        turn = torch.tensor(frame * 0.001) * torch.tensor([0.0, 0.0, 1.0])
        return Clip(
            name=name,
            fps=50.0,
            joint_names=robot.joint_names,
            root_pos=np.array([0, 0, 0.8], np.float32) + frame * np.array([0.01, 0, 0], np.float32),
            root_quat_wxyz=quat_from_rotation_vector(turn).numpy(),
            joint_pos=0.001 * np.sin(0.05 * frame) * np.arange(1, 30, dtype=np.float32),
        )


def following(lengths=LENGTHS, num_envs=8, seed=0, motions=None, **params):
    scene = random_scene(num_envs, seed=1)
    scene.episode_step.zero_()
    command = MotionTracking(**params)
    command.rng = torch.Generator().manual_seed(seed)
    command.bind(scene, G1(), motions or {"walks": (1.0, Walks(*lengths))})
    return command, scene


def start(command, ids=ROWS, failed=False):
    return command.reset(ids, torch.full((len(ids),), failed))


def step(command, scene):
    scene.episode_step += 1
    command.advance()
