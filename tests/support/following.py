"""A `motion_tracking` command with a few generated clips, bound to a scene without physics."""

from __future__ import annotations

import torch

from mtrack_g1.robot import G1
from mtrack_testing import Walks, random_scene
from mtrack_tracking.command import MotionTracking

ENV_IDS = torch.arange(8)
LENGTHS = (120, 400)


def following(lengths=LENGTHS, num_envs=8, seed=0, motions=None, **params):
    scene = random_scene(num_envs, seed=1)
    scene.episode_step.zero_()
    command = MotionTracking(**params)
    command.rng = torch.Generator().manual_seed(seed)
    scene.command, scene.extras = command, {}
    command.bind(scene, G1(), motions or {"walks": (1.0, Walks(*lengths))})
    return command, scene


def start(command, env_ids=ENV_IDS, failed=False):
    return command.reset(env_ids, torch.full((len(env_ids),), failed))


def step(command, scene):
    scene.episode_step += 1
    command.advance()
