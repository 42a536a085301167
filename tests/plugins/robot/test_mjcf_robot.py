"""A robot from an MJCF or URDF: its parts, mirror, soles and standing pose are derived, and a robot.toml keeps them."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch
from support.small_biped import biped_urdf, biped_xml

from mtrack import MtrackError
from mtrack_mujoco.checked_robot import compiled, described
from mtrack_robot.derive import derive
from mtrack_robot.model_file import load_model
from mtrack_robot.motors import gains_of
from mtrack_robot.robot import Mjcf
from mtrack_robot.writing import robot_toml
from mtrack_tracking.soles import Soles


@pytest.fixture
def biped(tmp_path):
    path = tmp_path / "small.xml"
    path.write_text(biped_xml())
    return path


def write_description(model, folder):
    """Write what `mtrack new-robot` would, without its picture."""
    found = derive(model, load_model(model))
    file = folder / "robot.toml"
    file.write_text(robot_toml(found.description, found.reasons, file))
    return file


def test_parts_are_found_whatever_they_are_called(biped):
    robot = Mjcf(path=biped).model()
    assert robot.name == "small"
    assert robot.sets["feet"] == ("foot_l", "foot_r")
    assert robot.sets["shins"] == ("shin_l", "shin_r")
    assert robot.sets["knees"] == ("l_knee", "r_knee")
    assert len(robot.sets["legs"]) == 12
    assert robot.sets["elbows"] == ("l_elbow", "r_elbow")
    assert "waist" not in robot.sets
    assert {"left_toe", "right_toe", "left_hand", "right_hand", "head"} < set(robot.body_names)


def test_the_description_agrees_with_the_compiled_robot(biped):
    mjcf = Mjcf(path=biped)
    model = compiled(described(mjcf, mjcf.model()), mjcf.model())
    assert model.body_subtreemass[1] == pytest.approx(12.0 + 2 * (2 + 1.5 + 0.6 + 1 + 0.7))
    assert model.nu == 18


def test_signs_come_from_axes(biped):
    mirror = Mjcf(path=biped).model().joint_mirror
    names = Mjcf(path=biped).model().joint_names
    sign = {name: mirror.sign[index].item() for index, name in enumerate(names)}
    # the right hip's roll axis is reversed in the model, the shoulder's is not
    assert sign["l_hip_x"] == 1.0
    assert sign["l_hip_z"] == sign["l_ankle_x"] == sign["r_shoulder_x"] == -1.0
    assert sign["l_knee"] == sign["r_ankle_y"] == 1.0


def test_the_standing_pose_has_bent_knees_level_soles_and_the_weight_over_them(biped):
    mjcf = Mjcf(path=biped)
    robot, model = mjcf.model(), mjcf.spec().compile()
    data = mujoco.MjData(model)
    data.qpos[:3] = robot.default_root_pos
    for name, angle in zip(robot.joint_names, robot.default_joint_pos, strict=True):
        data.joint(name).qpos[0] = angle
    mujoco.mj_forward(model, data)
    soles = [data.geom(i) for i in range(model.ngeom) if "sole" in model.geom(i).name]
    assert len(soles) == 8
    heights = np.array([sole.xpos[2] - 0.005 for sole in soles])
    assert np.abs(heights).max() < 1e-3
    assert data.joint("l_knee").qpos[0] < -0.3
    middle = np.mean([sole.xpos[0] for sole in soles])
    assert abs(data.subtree_com[1][0] - middle) < 0.01


def test_a_robot_toml_gives_the_same_robot_as_the_model_file(biped, tmp_path):
    one, other = Mjcf(path=biped).model(), Mjcf(path=write_description(biped, tmp_path)).model()
    assert one.joint_names == other.joint_names
    assert one.body_names == other.body_names
    assert dict(one.sets) == dict(other.sets)
    assert one.mirrored_name == other.mirrored_name
    for name in ("default_joint_pos", "default_root_pos", "effort_limit", "velocity_limit", "stiffness", "damping"):
        assert torch.equal(getattr(one, name), getattr(other, name)), name


def test_a_joint_that_is_left_out_is_fixed(biped, tmp_path):
    file = write_description(biped, tmp_path)
    elbows = ("l_elbow", "r_elbow")
    lines = [line for line in file.read_text().splitlines() if not line.startswith((*elbows, "elbows"))]
    text = "\n".join(lines)
    for name in elbows:
        text = text.replace(f', "{name}"', "").replace(f'"{name}", ', "").replace(f'"{name}",', "")
    file.write_text(text)
    assert len(Mjcf(path=file).model().joint_names) == 16
    assert Mjcf(path=file).spec().compile().njnt == 17


def test_a_urdf_gets_a_free_joint_and_its_speed_limits(tmp_path):
    path = tmp_path / "small.urdf"
    path.write_text(biped_urdf())
    mjcf = Mjcf(path=path)
    robot, model = mjcf.model(), mjcf.spec().compile()
    assert robot.velocity_limit.tolist() == [12.0] * 10
    assert robot.effort_limit.tolist() == [80.0] * 10
    assert model.joint("floating_base_joint").type[0] == mujoco.mjtJoint.mjJNT_FREE
    assert len(robot.sets["legs"]) == 10
    assert "arms" not in robot.sets


def test_a_mesh_is_found_in_its_package(tmp_path):
    (tmp_path / "small" / "meshes").mkdir(parents=True)
    (tmp_path / "small" / "urdf").mkdir()
    model = mujoco.MjModel.from_xml_string(
        "<mujoco><asset><mesh name='m' vertex='0 0 0 .1 0 0 0 .1 0 0 0 .1'/></asset><worldbody>"
        "<geom type='mesh' mesh='m'/></worldbody></mujoco>"
    )
    faces = model.mesh_vert[model.mesh_face].astype("<f4")
    records = b"".join(bytes(12) + face.tobytes() + bytes(2) for face in faces)
    (tmp_path / "small" / "meshes" / "trunk.stl").write_bytes(bytes(80) + np.uint32(len(faces)).tobytes() + records)
    path = tmp_path / "small" / "urdf" / "small.urdf"
    path.write_text(biped_urdf())
    assert load_model(path).missing_files == ()
    (tmp_path / "small" / "meshes" / "trunk.stl").unlink()
    assert load_model(path).missing_files == ("package://small/meshes/trunk.stl",)


def test_a_model_without_legs_is_refused(tmp_path):
    path = tmp_path / "pole.xml"
    path.write_text(
        "<mujoco><worldbody><body name='base'><freejoint/><geom size='.1'/>"
        "<body name='pole'><joint/><geom size='.1'/></body></body></worldbody></mujoco>"
    )
    with pytest.raises(MtrackError, match="no pair of legs"):
        Mjcf(path=path).model()


def test_soles_of_legs_with_several_hinges_in_a_body(biped):
    mjcf = Mjcf(path=biped)
    robot, model = mjcf.model(), mjcf.spec().compile()
    soles = Soles.of(robot, mjcf, torch.device("cpu"))
    angles = torch.empty(4, 18).uniform_(-0.3, 0.3, generator=torch.Generator().manual_seed(0))
    root, upright = torch.tensor([[0.0, 0.0, 0.8]]).expand(4, 3), torch.tensor([[1.0, 0.0, 0.0, 0.0]]).expand(4, 4)
    lowest = soles.lowest(root, upright, angles)
    for row, value in zip(angles, lowest, strict=True):
        data = mujoco.MjData(model)
        data.qpos[2] = 0.8
        for name, angle in zip(robot.joint_names, row, strict=True):
            data.joint(name).qpos[0] = angle
        mujoco.mj_kinematics(model, data)
        heights = [data.geom(i).xpos[2] - 0.005 for i in range(model.ngeom) if "sole" in model.geom(i).name]
        assert value == pytest.approx(min(heights), abs=1e-5)


def test_a_crooked_robot_is_made_symmetric(biped):
    biped.write_text(biped.read_text().replace('mass="1.5"', 'mass="1.7"', 1))  # the left shin
    crooked, level = Mjcf(path=biped).spec().compile(), Mjcf(path=biped, symmetrise=True).spec().compile()
    assert crooked.body("shin_l").mass[0] != crooked.body("shin_r").mass[0]
    assert level.body("shin_r").mass[0] == crooked.body("shin_l").mass[0]


def test_gains_follow_the_rule(biped):
    robot = Mjcf(path=biped).description()
    omega = 2 * np.pi * 10
    armature, stiffness, damping = gains_of(robot.joints[0], robot.gains, 0.01)
    assert (armature, stiffness, damping) == pytest.approx((0.01, 0.01 * omega**2, 2 * 2 * 0.01 * omega))
