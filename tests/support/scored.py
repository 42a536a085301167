"""Scenes without physics whose robot equals its reference, except for what a test changes."""

from __future__ import annotations

import attrs
import torch

from mtrack import Kinematics
from mtrack.math import quat_from_rotation_vector, quat_multiply, quat_rotate
from mtrack_testing import random_scene


class NeverDiverges:
    def diverged(self):
        return torch.zeros(4, dtype=torch.bool)


def on_reference(**changes):
    """Return a scene of 4 environments whose robot equals its reference, except for some changes."""
    scene = random_scene(4, backend=NeverDiverges())
    for field in attrs.fields(Kinematics):
        if field.name != "cache":
            getattr(scene.robot, field.name).copy_(getattr(scene.reference, field.name))
    for name, value in changes.items():
        getattr(scene.robot, name).copy_(value)
    scene.robot.invalidate()
    return scene


def moved(scene, by):
    for name in ("root_pos", "body_pos"):
        getattr(scene.robot, name).add_(torch.tensor(by))
    scene.robot.invalidate()
    return scene


def turned(scene, rotation):
    """Turn the robot about its root by a rotation vector in world axes."""
    robot, turn = scene.robot, quat_from_rotation_vector(torch.tensor(rotation)).expand(4, 4)
    root = robot.root_pos.unsqueeze(1)
    robot.body_pos.copy_(quat_rotate(turn.unsqueeze(1), robot.body_pos - root) + root)
    robot.root_quat_wxyz.copy_(quat_multiply(turn, robot.root_quat_wxyz))
    robot.body_quat_wxyz.copy_(quat_multiply(turn.unsqueeze(1).expand_as(robot.body_quat_wxyz), robot.body_quat_wxyz))
    robot.invalidate()
    return scene


def close(value, expected, tolerance=1e-3):
    torch.testing.assert_close(value, torch.full_like(value, expected), atol=tolerance, rtol=1e-4)
