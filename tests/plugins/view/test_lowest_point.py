"""The lowest point of a robot is the same in the browser, in training and in an evaluation."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch

from mtrack_eval.snapshots import Snapshots
from mtrack_mujoco.lowest import ShapeDepths
from mtrack_testing import small_task
from mtrack_view.browser_robot import BrowserRobot

NUM_ENVS, STEPS = 3, 4


@pytest.fixture(scope="module")
def played():
    """Return an environment of the training after a few steps, and the poses that an evaluation keeps."""
    env = small_task("g1_tracking_quick", f"num_envs={NUM_ENVS}").env
    snapshots = Snapshots(1)
    lengths = torch.full((NUM_ENVS,), STEPS)
    snapshots.begin(env.scene, lengths)
    snapshots._frames = lengths[None]  # only the last frame
    draw = torch.Generator().manual_seed(0)
    for _ in range(STEPS):
        env.step(torch.randn(NUM_ENVS, 29, generator=draw))
        snapshots.take(env.scene, torch.ones(NUM_ENVS, dtype=torch.bool))
    poses = snapshots.poses[0, 0].T.double().numpy()
    assert np.isfinite(poses).all()
    return env, poses


def engine_height(env, row, shown=None):
    """Return the height of the lowest shape over the floor as the engine measures it, in the state of the training.

    Its model has only the colliding shapes; for others, a model that has them is put into the same state.
    """
    batch = env.backend._sim.batch
    model, state = batch.get_model(row), batch.get_data(row).qpos
    geoms = np.flatnonzero(model.geom_type != mujoco.mjtGeom.mjGEOM_PLANE)
    if shown is not None:
        model, geoms = shown.model, shown.geoms("drawn")
    data = mujoco.MjData(model)
    data.qpos[:] = state
    mujoco.mj_kinematics(model, data)
    floor = int(np.flatnonzero(model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE)[0])
    return min(mujoco.mj_geomDistance(model, data, geom, floor, 10.0, None) for geom in geoms.tolist())


def browser_height(drawn, shapes):
    """Return the height of the lowest of some shapes, from the transforms that the nodes in the browser have."""
    model, rotation, heights = drawn.robot.model, np.empty(9), []
    for geom in shapes:
        position, turn = drawn.body_pose(int(model.geom_bodyid[geom]))
        mujoco.mju_quat2Mat(rotation, model.geom_quat[geom])
        upward = (turn @ rotation.reshape(3, 3))[2]
        height = position[2] + turn[2] @ model.geom_pos[geom]
        heights.append(height - ShapeDepths(model, [geom])(upward[None])[0])
    return min(heights)


def test_collision_shapes_agree_to_a_micrometre(played, scene, g1):
    env, poses = played
    drawn, shapes = BrowserRobot(scene, g1, "robot", shapes="collision"), g1.geoms("collision").tolist()
    heights = []
    for row, pose in enumerate(poses):
        drawn.pose(pose)
        training = engine_height(env, row)
        assert browser_height(drawn, shapes) == pytest.approx(training, abs=1e-6)
        assert drawn.lowest_point(pose) == pytest.approx(training, abs=1e-6), "of the evaluation's pose"
        heights.append(training)
    assert np.ptp(heights) > 1e-4, "the robots do different things"


def test_drawn_shapes_agree_to_two_millimetres(played, scene, g1):
    env, poses = played
    drawn = BrowserRobot(scene, g1, "robot")
    for row, pose in enumerate(poses):
        drawn.pose(pose)
        lowest = np.inf
        for mesh in drawn.meshes():
            body = next(body for body, node in drawn.nodes.items() if node.name == mesh.name.rpartition("/")[0])
            position, rotation = drawn.body_pose(body)
            lowest = min(lowest, float((mesh.vertices @ rotation.T + position)[:, 2].min()))
        training = engine_height(env, row, g1)
        assert lowest == pytest.approx(training, abs=0.002)
        assert drawn.lowest_point(pose, "drawn") == pytest.approx(training, abs=1e-5)
