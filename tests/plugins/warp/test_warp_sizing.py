"""The sizes of the buffers for contacts and constraints follow from the robot."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from mtrack_g1.robot import G1
from mtrack_mujoco.addresses import Addresses
from mtrack_mujoco.simulation import compile_physics
from mtrack_warp.sizing import BufferSizes


def sizes(robot: G1, has_friction: bool = False) -> tuple[mujoco.MjModel, BufferSizes]:
    model, names = compile_physics(robot.spec()), robot.model()
    at = Addresses.of(model, names)
    qpos, ctrl = model.qpos0.copy(), np.zeros(model.nu)
    qpos[at.root_qpos : at.root_qpos + 3] = names.default_root_pos
    qpos[at.qpos], ctrl[at.actuators] = names.default_joint_pos, names.default_joint_pos
    return model, BufferSizes.of(model, qpos, ctrl, has_friction)


def test_a_robot_that_touches_only_the_floor_gets_buffers_for_every_contact() -> None:
    model, buffers = sizes(G1())
    spheres = int((model.geom_type == mujoco.mjtGeom.mjGEOM_SPHERE).sum())
    capsules = int((model.geom_type == mujoco.mjtGeom.mjGEOM_CAPSULE).sum())
    assert buffers.contacts == spheres + 2 * capsules
    assert buffers.constraints == 4 * buffers.contacts + int(model.jnt_limited.sum())


def test_randomized_joint_friction_enlarges_the_buffers() -> None:
    model, buffers = sizes(G1(), has_friction=True)
    assert buffers.constraints - sizes(G1())[1].constraints == model.nv


@pytest.mark.parametrize("robot", [G1(self_collision=True), G1(feet="capsules", self_collision=True)])
def test_a_robot_that_touches_itself_gets_buffers_large_enough_for_falls(robot: G1) -> None:
    model, buffers = sizes(robot)
    data = mujoco.MjData(model)
    mujoco.mj_resetData(model, data)
    data.qpos[2], data.qpos[3:7] = 0.2, (0.7, 0.0, 0.7, 0.0)
    for _ in range(200):
        mujoco.mj_step(model, data)
    assert 2 * data.ncon <= buffers.contacts <= 128
    assert 2 * data.nefc <= buffers.constraints <= 512
