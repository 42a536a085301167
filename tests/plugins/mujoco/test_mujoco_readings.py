"""The MuJoCo backend reads the right values out of a simulation at the right time."""

from __future__ import annotations

import mujoco
import numpy as np
import torch
from mujoco_runs import MODEL, build, reference_data, run, start, targets


def test_velocities_are_those_of_link_origins_in_world_axes():
    backend = build()
    backend.set_state(torch.arange(4), start(4, 1.0, seed=3))
    backend.forward(torch.arange(4), MODEL.default_joint_pos.expand(4, -1))
    backend.refresh()
    model, data = reference_data(backend, 2)
    velocity = np.zeros(6)
    for column, name in enumerate(MODEL.body_names):
        mujoco.mj_objectVelocity(model, data, mujoco.mjtObj.mjOBJ_XBODY, model.body(name).id, velocity, 0)
        ours = torch.cat((backend.state.body_ang_vel[2, column], backend.state.body_lin_vel[2, column]))
        np.testing.assert_allclose(ours, velocity, atol=1e-5)
        np.testing.assert_allclose(backend.state.body_pos[2, column], data.body(name).xpos, atol=1e-6)
        np.testing.assert_allclose(backend.state.body_rot[2, column].flatten(), data.body(name).xmat, atol=1e-6)


def test_a_start_state_is_read_back_unchanged():
    backend, given = build(), start(4, 1.0, seed=5)
    backend.set_state(torch.arange(4), given)
    backend.forward(torch.arange(4), MODEL.default_joint_pos.expand(4, -1))
    backend.refresh()
    for name in ("root_pos", "root_quat_wxyz", "root_lin_vel", "root_ang_vel", "joint_pos", "joint_vel"):
        torch.testing.assert_close(getattr(backend.state, name), getattr(given, name), atol=1e-6, rtol=0)


def test_positions_after_the_last_substep_are_of_the_new_state():
    backend = build()
    run(backend, targets(4, 5))
    _, data = reference_data(backend, 1)
    np.testing.assert_allclose(backend.state.body_pos[1, 0], data.body("pelvis").xpos, atol=1e-6)
    np.testing.assert_allclose(backend.state.joint_pos[1], data.qpos[7:], atol=1e-6)


def test_state_keeps_its_storage_when_refreshed():
    backend = build()
    before = {name: value.data_ptr() for name, value in vars(backend.state).items() if isinstance(value, torch.Tensor)}
    run(backend, targets(4, 2))
    backend.refresh(torch.tensor([1]))
    after = {name: value.data_ptr() for name, value in vars(backend.state).items() if isinstance(value, torch.Tensor)}
    assert after == before


def test_refreshing_some_environments_leaves_the_others():
    backend = build()
    before = backend.state.joint_pos.clone()
    backend.set_state(torch.arange(4), start(4, 1.0, seed=5))
    backend.forward(torch.arange(4), MODEL.default_joint_pos.expand(4, -1))
    backend.refresh(torch.tensor([2]))
    assert torch.equal(backend.state.joint_pos[[0, 1, 3]], before[[0, 1, 3]])
    assert not torch.equal(backend.state.joint_pos[2], before[2])


def test_torque_is_that_of_the_position_controller_within_the_effort_limit():
    backend = build()
    far = MODEL.default_joint_pos + 0.01
    far[0] = 2.5
    backend.forward(torch.arange(4), far.expand(4, -1))
    backend.refresh()
    expected = (MODEL.stiffness * (far - MODEL.default_joint_pos)).clamp(-MODEL.effort_limit, MODEL.effort_limit)
    torch.testing.assert_close(backend.state.joint_torque[0], expected, atol=1e-4, rtol=1e-5)
    assert backend.state.joint_torque[0, 0] == MODEL.effort_limit[0]


def test_joint_target_is_what_was_applied():
    backend = build()
    applied = targets(4, 1)[0]
    run(backend, applied[None])
    assert torch.equal(backend.state.joint_target, applied)
