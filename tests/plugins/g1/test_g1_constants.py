"""The built model has the published constants, and its names, sets and mirror are consistent."""

from __future__ import annotations

import json
from pathlib import Path

import mujoco
import numpy as np
import pytest
import torch

from mtrack import NameProblem
from mtrack_g1.robot import G1

FACTS = Path(__file__).parents[4] / "shared" / "g1" / "g1_facts.json"
DRAWN = 2

# m, with the root at 0.793 m and joint i at 0.02 (i - 14) rad; computed once from the published constants
GOLDEN = {
    "left_ankle_roll_link_toe": (0.314618, -0.042698, 0.173752),
    "right_ankle_roll_link": (0.135528, -0.192806, 0.056074),
    "torso_link": (-0.003960, 0.000158, 0.837000),
    "head_mimic": (0.006360, 0.007951, 1.246918),
    "left_hand_mimic": (0.311078, 0.184083, 0.839148),
    "right_wrist_roll_link": (0.072234, -0.094845, 0.860198),
}


@pytest.fixture(scope="module")
def model():
    return G1().spec().compile()


@pytest.fixture(scope="module")
def facts():
    if not FACTS.exists():
        pytest.skip(f"the published constants are not at {FACTS}")
    return json.loads(FACTS.read_text())


def bent(model):
    """A pose in which every joint is bent differently."""
    data = mujoco.MjData(model)
    data.qpos[7:] = 0.02 * (np.arange(29) - 14)
    mujoco.mj_forward(model, data)
    return data


def rotation(quat_wxyz):
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, np.array(quat_wxyz, dtype=float) / np.linalg.norm(quat_wxyz))
    return matrix.reshape(3, 3)


def test_masses_and_inertias_are_the_published_ones(model, facts):
    assert model.body_mass.sum() == pytest.approx(facts["total_mass_kg"], abs=1e-6)
    for entry in facts["bodies"]:
        if "inertial" not in entry:
            continue
        body, inertial = model.body(entry["name"]), entry["inertial"]
        assert body.mass[0] == pytest.approx(inertial["mass_kg"], abs=1e-9)
        np.testing.assert_allclose(body.ipos, inertial["pos_m"], atol=1e-9)
        published, ours = rotation(inertial["quat_wxyz"]), rotation(body.iquat)
        expected = published @ np.diag(inertial["diaginertia_kgm2"]) @ published.T
        np.testing.assert_allclose(ours @ np.diag(body.inertia) @ ours.T, expected, atol=1e-9)


def test_joints_are_the_published_ones_in_their_order(model, facts):
    published = [entry["joint"] for entry in facts["bodies"] if entry.get("joint", {}).get("type") == "hinge"]
    assert [joint["name"] for joint in published] == list(G1().model().joint_names)
    for joint in published:
        np.testing.assert_allclose(model.joint(joint["name"]).axis, joint["axis"], atol=1e-9)
        np.testing.assert_allclose(model.joint(joint["name"]).range, joint["range_rad"], atol=1e-9)


def test_forward_kinematics_follow_the_published_frames(model, facts):
    data = bent(model)
    frames = {"world": (np.zeros(3), np.eye(3))}
    for entry in facts["bodies"]:
        parent_pos, parent_rot = frames[entry["parent"]]
        rot, joint = parent_rot @ rotation(entry["quat_wxyz"]), entry.get("joint", {})
        if joint.get("type") == "hinge":
            turn, angle = np.zeros(4), data.joint(joint["name"]).qpos[0]
            mujoco.mju_axisAngle2Quat(turn, np.array(joint["axis"]), angle)
            rot = rot @ rotation(turn)
        frames[entry["name"]] = parent_pos + parent_rot @ np.array(entry["pos"]), rot
        np.testing.assert_allclose(data.body(entry["name"]).xpos, frames[entry["name"]][0], atol=1e-6)
        np.testing.assert_allclose(data.body(entry["name"]).xmat.reshape(3, 3), rot, atol=1e-6)


def test_motors_are_the_published_ones(model, facts):
    known = G1().model()
    knee = known.joint_names.index("left_knee_joint")
    armature = facts["motors"]["hip_roll, knee (7520-22)"]["armature"]
    omega = 2 * np.pi * 10
    assert known.stiffness[knee] == pytest.approx(armature * omega**2, rel=1e-6)
    assert known.damping[knee] == pytest.approx(4 * armature * omega, rel=1e-6)
    assert known.effort_limit[knee] == 139.0
    actuator = model.actuator("left_knee_joint")
    assert actuator.gainprm[0] == -actuator.biasprm[1] == pytest.approx(armature * omega**2, rel=1e-9)
    assert actuator.forcerange.tolist() == [-139.0, 139.0]
    assert model.dof_armature[model.joint("left_knee_joint").dofadr[0]] == armature


def test_links_keep_their_recorded_positions(model):
    data = bent(model)
    for name, position in GOLDEN.items():
        np.testing.assert_allclose(data.body(name).xpos, position, atol=1e-6)
    assert model.body_mass.sum() == pytest.approx(33.341142, abs=1e-6)


def test_the_mirror_of_joint_values_is_its_own_inverse():
    known = G1().model()
    value = torch.randn(3, 29)
    assert torch.equal(known.joint_mirror(known.joint_mirror(value)), value)
    torch.testing.assert_close(known.joint_mirror(known.default_joint_pos), known.default_joint_pos)
    low, high = known.joint_range.unbind(-1)
    centre_sum = known.joint_mirror(low + high)
    torch.testing.assert_close(centre_sum, low + high, atol=1e-6, rtol=0)  # ranges mirror too


def test_every_set_can_be_looked_up():
    known = G1().model()
    for name in ("keypoints", "lower_keypoints", "upper_keypoints", "feet", "toes", "hands", "height_checked", "torso"):
        indices = known.bodies(name)
        assert len(known.partners([known.body_names[i] for i in indices])) == len(indices)
    assert [len(known.joints(name)) for name in ("legs", "arms", "waist", "ankles", "non_ankle", "wrists")] == [
        12,
        14,
        3,
        4,
        25,
        6,
    ]
    assert len(known.bodies("keypoints")) == 11
    assert known.sets["feet"] == ("left_ankle_roll_link", "right_ankle_roll_link")
    assert "left_knee_link" in known.sets["non_feet"]
    assert not set(known.sets["non_feet"]) & set(known.sets["feet"])


def test_visible_bodies_may_be_chosen_by_pattern():
    known = G1(bodies=("pelvis", ".*_hand_mimic")).model()
    assert known.body_names == ("pelvis", "left_hand_mimic", "right_hand_mimic")
    with pytest.raises(NameProblem, match="the root, 'pelvis'"):
        G1(bodies=("torso_link", "pelvis")).model()
    with pytest.raises(NameProblem, match="did you mean 'torso_link'"):
        G1(bodies=("pelvis", "torso_lnk")).model()


def test_visual_shapes_have_no_mass_and_no_contacts(model):
    drawn = [i for i in range(model.ngeom) if model.geom_group[i] == DRAWN]
    assert len(drawn) > 40
    assert not any(model.geom_contype[i] or model.geom_conaffinity[i] for i in drawn)


def test_self_collision_is_off_by_default():
    for self_collision in (False, True):
        model = G1(self_collision=self_collision).spec().compile()
        data = mujoco.MjData(model)
        data.qpos[2] = 2.0
        data.joint("left_shoulder_roll_joint").qpos[0] = -1.2  # the arm into the torso
        mujoco.mj_forward(model, data)
        assert (data.ncon > 0) == self_collision


def test_no_link_touches_another_in_the_default_pose():
    robot = G1(self_collision=True)
    model, known = robot.spec().compile(), robot.model()
    data = mujoco.MjData(model)
    data.qpos[2], data.qpos[7:] = 2.0, known.default_joint_pos
    mujoco.mj_forward(model, data)
    assert data.ncon == 0
