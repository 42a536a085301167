"""The G1 stands and falls as expected, and its symmetric version moves symmetrically."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from mtrack_g1.robot import G1


def at_default_pose(robot, gains=1.0):
    model, known = robot.spec().compile(), robot.model()
    model.actuator_gainprm[:] *= gains
    model.actuator_biasprm[:] *= gains
    data = mujoco.MjData(model)
    data.qpos[:3], data.qpos[7:] = known.default_root_pos, known.default_joint_pos
    data.ctrl[:] = known.default_joint_pos
    mujoco.mj_forward(model, data)
    return model, data


def seconds_upright(model, data, limit):
    while data.time < limit:
        mujoco.mj_step(model, data)
        if data.body("pelvis").xpos[2] < 0.5:
            break
    return data.time


def test_a_robot_that_holds_its_default_pose_falls_after_a_second_or_two():
    assert 1.0 < seconds_upright(*at_default_pose(G1()), 10.0) < 2.5


def test_with_ten_times_the_gains_it_stands():
    assert seconds_upright(*at_default_pose(G1(), gains=10.0), 10.0) >= 10.0


@pytest.mark.parametrize("feet", ["spheres", "box", "capsules"])
def test_the_soles_of_the_default_pose_touch_the_floor(feet):
    model, data = at_default_pose(G1(feet=feet))
    for side in ("left", "right"):
        foot = model.body(f"{side}_ankle_roll_link").id
        geoms = [i for i in range(model.ngeom) if model.geom_bodyid[i] == foot and model.geom_conaffinity[i]]
        floor = model.geom("floor").id
        lowest = min(mujoco.mj_geomDistance(model, data, floor, i, 1.0, None) for i in geoms)
        assert abs(lowest) < 2e-3


def test_the_symmetric_robot_moves_as_its_mirror_image():
    model, data = at_default_pose(G1(symmetrise=True))
    mirrored = mujoco.MjData(model)
    names = [model.joint(i).name for i in range(1, model.njnt)]
    mirror = G1().model().joint_mirror
    assert names == list(G1().model().joint_names)
    partner, sign = mirror.perm.tolist(), mirror.sign.numpy()
    root_pos, root_quat = np.array([1, -1, 1]), np.array([1, -1, 1, -1])
    draw = np.random.default_rng(3)
    data.qpos[3:7] += 0.05 * draw.normal(size=4)
    data.qpos[3:7] /= np.linalg.norm(data.qpos[3:7])
    data.qvel[:] = 0.3 * draw.normal(size=model.nv)
    mirrored.qpos[:] = np.concatenate(
        (data.qpos[:3] * root_pos, data.qpos[3:7] * root_quat, data.qpos[7:][partner] * sign)
    )
    mirrored.qvel[:] = np.concatenate(
        (data.qvel[:3] * root_pos, data.qvel[3:6] * [-1, 1, -1], data.qvel[6:][partner] * sign)
    )
    touched = 0
    for _ in range(100):
        data.ctrl[:] = data.qpos[7:] + 0.1 * draw.normal(size=29)
        mirrored.ctrl[:] = data.ctrl[partner] * sign
        mujoco.mj_step(model, data)
        mujoco.mj_step(model, mirrored)
        touched += data.ncon > 0
    assert touched > 20
    np.testing.assert_allclose(mirrored.qpos[:3], data.qpos[:3] * root_pos, atol=1e-6)
    np.testing.assert_allclose(mirrored.qpos[7:], data.qpos[7:][partner] * sign, atol=1e-6)
    np.testing.assert_allclose(mirrored.qvel[6:], data.qvel[6:][partner] * sign, atol=1e-4)
