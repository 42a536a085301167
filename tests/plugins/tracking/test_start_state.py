"""The state an episode starts in: on the reference or about it, within limits, on the floor."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch
from support.following import following, start

from mtrack.math import quat_multiply, quat_to_rotation_vector
from mtrack_g1.robot import G1
from mtrack_testing import Walks
from mtrack_tracking.soles import Soles


def test_without_noise_an_environment_starts_on_its_reference():
    command, scene = following(start_noise=0.0)
    state = start(command)
    reference = scene.reference
    for name in ("root_pos", "root_quat_wxyz", "root_lin_vel", "root_ang_vel", "joint_pos", "joint_vel"):
        torch.testing.assert_close(getattr(state, name), getattr(reference, name))


def test_start_noise_stays_within_its_sizes_and_uses_them():
    command, scene = following(num_envs=400)
    state = start(command, torch.arange(400))
    reference = scene.reference
    low, high = command.start_states.joint_range.unbind(1)
    inside = reference.joint_pos.clamp(low, high)
    offsets = {
        0.03: (state.root_pos - reference.root_pos)[:, :2],
        0.1: torch.cat((state.joint_pos - inside, state.root_lin_vel - reference.root_lin_vel), dim=1),
    }
    for size, offset in offsets.items():
        assert 0.95 * size < offset.abs().max() <= size + 1e-5
    turn = quat_multiply(state.root_quat_wxyz, reference.root_quat_wxyz * torch.tensor([1.0, -1, -1, -1]))
    angle = quat_to_rotation_vector(turn).norm(dim=1)
    assert 0.09 < angle.max() <= 0.1 + 1e-4
    assert (state.root_pos[:, 2] >= reference.root_pos[:, 2] - 1e-6).all()
    assert (state.joint_pos >= low).all()
    assert (state.joint_pos <= high).all()


def test_a_start_below_the_floor_is_lifted_onto_it():
    class Sunk(Walks):
        def clip(self, robot, name, length):
            clip = super().clip(robot, name, length)
            clip.root_pos[:, 2] = 0.7
            return clip

    command, _ = following(motions={"sunk": (1.0, Sunk(200))})
    state = start(command)
    lowest = command.start_states.soles.lowest(state.root_pos, state.root_quat_wxyz, state.joint_pos)
    torch.testing.assert_close(lowest, torch.zeros(8), rtol=0, atol=1e-5)
    assert (state.root_pos[:, 2] > 0.7).all()


@pytest.mark.parametrize("feet", ["spheres", "box", "capsules"])
def test_the_height_of_the_soles_is_that_of_mujocos_kinematics(feet):
    robot = G1(feet=feet)
    model, names = robot.spec().compile(), robot.model()
    data = mujoco.MjData(model)
    draw = np.random.default_rng(0)
    soles = Soles(names, model, torch.device("cpu"))
    colliding = [
        i
        for i in range(model.ngeom)
        if "ankle_roll" in model.body(model.geom_bodyid[i]).name and model.geom_conaffinity[i]
    ]
    for _ in range(20):
        data.qpos[:] = draw.normal(size=model.nq)
        data.qpos[3:7] /= np.linalg.norm(data.qpos[3:7])
        mujoco.mj_kinematics(model, data)
        lowest = min(data.geom_xpos[i, 2] - reach_down(model, data, i) for i in colliding)
        joints = [data.qpos[model.joint(name).qposadr[0]] for name in names.joint_names]
        pose = torch.tensor(np.concatenate((data.qpos[:7], joints)), dtype=torch.float32)[None]
        height = soles.lowest(pose[:, :3], pose[:, 3:7], pose[:, 7:])
        assert height.item() == pytest.approx(lowest, abs=1e-5)


def reach_down(model, data, geom):
    upright, size = np.abs(data.geom_xmat[geom].reshape(3, 3)[2]), model.geom_size[geom]
    kinds = {
        mujoco.mjtGeom.mjGEOM_SPHERE: size[0],
        mujoco.mjtGeom.mjGEOM_CAPSULE: size[0] + upright[2] * size[1],
        mujoco.mjtGeom.mjGEOM_BOX: upright @ size,
    }
    return kinds[mujoco.mjtGeom(model.geom_type[geom])]
