"""Heights of a robot's colliding shapes are as precise as the engine's, and overlaps of links are found."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from mtrack_g1.robot import G1
from mtrack_mujoco.addresses import Addresses
from mtrack_quality.geometry import Geometry
from mtrack_testing import g1_model

MODEL = g1_model()
DEFAULT = MODEL.default_joint_pos.numpy().astype(float)


def poses(count: int = 20):
    """Return random poses in which every part of the robot may be the lowest."""
    rng = np.random.default_rng(0)
    quat = rng.normal(size=(count, 4))
    quat /= np.linalg.norm(quat, axis=1, keepdims=True)
    pos = np.column_stack((rng.normal(size=(count, 2)), np.full(count, 0.2)))
    low, high = MODEL.joint_range.numpy().astype(float).T
    return pos, quat, low + (high - low) * rng.random((count, len(low)))


@pytest.mark.parametrize("feet", ["spheres", "box", "capsules"])
def test_the_lowest_point_is_where_the_engine_finds_the_deepest_contact_with_the_floor(feet):
    robot = G1(feet=feet)
    pos, quat, joints = poses()
    lowest = Geometry(robot).track(pos, quat, joints).lowest

    model = robot.spec().compile()
    data, at = mujoco.MjData(model), Addresses.of(model, robot.model())
    for frame in range(len(pos)):
        data.qpos[at.root_qpos : at.root_qpos + 7] = np.concatenate((pos[frame], quat[frame]))
        data.qpos[at.qpos] = joints[frame]
        mujoco.mj_kinematics(model, data)
        mujoco.mj_collision(model, data)
        assert lowest[frame] == pytest.approx(data.contact.dist.min(), abs=1e-6)
        assert lowest[frame] < 0.0


def test_soles_meet_the_floor_in_the_default_pose():
    level = np.array([[1.0, 0, 0, 0]])
    track = Geometry(G1()).track(MODEL.default_root_pos.numpy()[None].astype(float), level, DEFAULT[None])
    assert track.names == ("left_ankle_roll_link", "right_ankle_roll_link")
    assert np.abs(track.soles).max() < 0.01
    assert track.lowest[0] == track.soles.min()
    assert track.overlap[0] == 0.0


def test_overlapping_hands_are_an_overlap_of_named_links():
    crossed = DEFAULT.copy()
    for side, sign in (("left", -1.0), ("right", 1.0)):
        crossed[MODEL.joint_names.index(f"{side}_shoulder_yaw_joint")] = sign * 0.6
        crossed[MODEL.joint_names.index(f"{side}_elbow_joint")] = 0.3
    level, pos = np.array([[1.0, 0, 0, 0]] * 2), np.array([[0, 0, 0.8]] * 2)
    track = Geometry(G1()).track(pos, level, np.stack((DEFAULT, crossed)))
    assert track.pair[0] == ""
    assert track.overlap[1] > 0.01
    assert {name.split("_")[0] for name in track.pair[1].split(" and ")} == {"left", "right"}


def test_neighbouring_links_may_overlap():
    low, high = MODEL.joint_range.numpy().astype(float).T
    bent = np.tile(DEFAULT, (2, 1))
    for name in ("left_elbow_joint", "left_knee_joint"):
        bent[:, MODEL.joint_names.index(name)] = (
            low[MODEL.joint_names.index(name)],
            high[MODEL.joint_names.index(name)],
        )
    level, pos = np.array([[1.0, 0, 0, 0]] * 2), np.array([[0, 0, 0.8]] * 2)
    pairs = Geometry(G1()).track(pos, level, bent).pair
    assert not any("elbow" in pair and "shoulder_yaw" in pair for pair in pairs)
