"""On real physics the action holds the start pose, even with a calibration error."""

from __future__ import annotations

import torch

from mtrack import PhysicsPlan
from mtrack_body.action import JointPosition
from mtrack_g1.robot import G1
from mtrack_mujoco.backend import MujocoBackend
from mtrack_testing import random_scene

N = 3


def test_a_held_target_needs_no_torque_at_the_start_pose() -> None:
    robot = G1()
    backend = MujocoBackend()
    backend.build(robot, PhysicsPlan(N, 0.005, "cpu"))
    scene = random_scene(N, model=robot.model(), backend=backend)
    scene.robot = backend.state
    scene.robot.joint_offset.fill_(0.05)
    action = JointPosition()
    action.rng = torch.Generator().manual_seed(0)
    action.bind(scene)
    everything = torch.arange(N)
    action.reset(everything)
    backend.forward(everything, action.current_target[everything])
    backend.refresh()
    assert scene.robot.joint_torque.abs().max() < 1e-4
    action.apply(torch.full((N, action.num_actions), 0.1))
    backend.step(action.target(0), last=True)
    backend.refresh()
    torch.testing.assert_close(scene.robot.joint_target, scene.model.default_joint_pos.expand(N, -1))
