"""Kinematics of many frames agree with plain MuJoCo, frame by frame."""

from __future__ import annotations

import mujoco
import numpy as np
import torch

from mtrack_g1.robot import G1
from mtrack_mujoco import kinematics
from mtrack_mujoco.kinematics import forward_kinematics

ROBOT = G1()
MODEL = ROBOT.model()


def frames(num):
    draw = torch.Generator().manual_seed(0)
    vectors = [torch.randn(num, 3, generator=draw) for _ in range(3)]
    quat = torch.nn.functional.normalize(torch.randn(num, 4, generator=draw), dim=-1)
    joint_pos = MODEL.default_joint_pos + 0.3 * torch.randn(num, 29, generator=draw)
    return vectors[0], quat, vectors[1], vectors[2], joint_pos, torch.randn(num, 29, generator=draw)


def test_poses_and_velocities_of_every_body_are_those_of_the_engine():
    root_pos, quat, lin_vel, ang_vel, joint_pos, joint_vel = given = frames(5)
    found = forward_kinematics(ROBOT, *given)
    model = ROBOT.spec().compile()
    data, velocity, rotation = mujoco.MjData(model), np.zeros(6), np.zeros(9)
    for frame in range(5):
        mujoco.mju_quat2Mat(rotation, quat[frame].double().numpy())
        body_frame = rotation.reshape(3, 3).T @ ang_vel[frame].double().numpy()
        data.qpos[:] = np.concatenate((root_pos[frame], quat[frame], joint_pos[frame]))
        data.qvel[:] = np.concatenate((lin_vel[frame], body_frame, joint_vel[frame]))
        mujoco.mj_forward(model, data)
        for column, name in enumerate(MODEL.body_names):
            body = data.body(name)
            mujoco.mj_objectVelocity(model, data, mujoco.mjtObj.mjOBJ_XBODY, body.id, velocity, 0)
            np.testing.assert_allclose(found.body_pos[frame, column], body.xpos, atol=1e-6)
            np.testing.assert_allclose(found.body_quat_wxyz[frame, column], body.xquat, atol=1e-6)
            np.testing.assert_allclose(found.body_ang_vel[frame, column], velocity[:3], atol=1e-5)
            np.testing.assert_allclose(found.body_lin_vel[frame, column], velocity[3:], atol=1e-5)


def test_the_root_is_returned_unchanged():
    root_pos, quat, lin_vel, ang_vel, joint_pos, joint_vel = given = frames(5)
    found = forward_kinematics(ROBOT, *given)
    torch.testing.assert_close(found.root_pos, root_pos)
    torch.testing.assert_close(found.root_quat_wxyz, quat)
    torch.testing.assert_close(found.root_lin_vel, lin_vel, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.root_ang_vel, ang_vel, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.joint_pos, joint_pos)
    torch.testing.assert_close(found.joint_vel, joint_vel)


def test_frames_in_chunks_are_the_same_as_frames_at_once(monkeypatch):
    given = frames(23)
    whole = forward_kinematics(ROBOT, *given)
    monkeypatch.setattr(kinematics, "_CHUNK", 5)
    chunked = forward_kinematics(ROBOT, *given)
    assert torch.equal(whole.body_lin_vel, chunked.body_lin_vel)
    assert torch.equal(whole.body_pos, chunked.body_pos)


def test_no_frames_give_no_kinematics():
    assert forward_kinematics(ROBOT, *frames(0)).body_pos.shape == (0, len(MODEL.body_names), 3)
