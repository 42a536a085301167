"""A G1, or its floor, from a MuJoCo description in a file."""

from __future__ import annotations

from pathlib import Path

import mujoco
import numpy as np
import pytest

import mtrack_g1
from mtrack import MtrackError
from mtrack_g1.robot import G1
from mtrack_robot.checks import check_robot


def posed(model):
    data = mujoco.MjData(model)
    data.qpos[7:] = 0.02 * (np.arange(29) - 14)
    mujoco.mj_forward(model, data)
    return data


def test_a_description_from_a_file_gets_motors_frames_and_a_floor(tmp_path):
    source = G1().spec()
    for name in ("head_mimic", "left_ankle_roll_link_toe"):
        source.delete(source.body(name))
    for geom in list(source.worldbody.geoms):
        source.delete(geom)
    for actuator in list(source.actuators):
        source.delete(actuator)
    source.compile()
    path = tmp_path / "g1.xml"
    path.write_text(source.to_xml())
    model = G1(mjcf=path).spec().compile()
    plain = G1().spec().compile()
    assert [model.actuator(i).name for i in range(model.nu)] == [plain.actuator(i).name for i in range(plain.nu)]
    np.testing.assert_allclose(posed(model).body("head_mimic").xpos, posed(plain).body("head_mimic").xpos, atol=1e-6)
    assert model.geom("floor").type[0] == mujoco.mjtGeom.mjGEOM_PLANE
    assert G1(mjcf=path).model().mass == pytest.approx(G1().model().mass, rel=1e-6)


def test_an_error_names_the_file_that_lacks_a_joint_or_cannot_be_read(tmp_path):
    path = tmp_path / "robot.xml"
    path.write_text("<mujoco><worldbody><body><freejoint/><geom size='1'/></body></worldbody></mujoco>")
    with pytest.raises(MtrackError, match=r"has no joint .left_hip_pitch_joint. and 28 more"):
        G1(mjcf=path).spec()
    with pytest.raises(MtrackError, match=r"cannot read .*absent\.xml"):
        G1(mjcf=tmp_path / "absent.xml").spec()
    with pytest.raises(MtrackError, match=r"cannot read .*absent\.xml"):
        G1(terrain=tmp_path / "absent.xml").spec()


def test_a_terrain_replaces_the_floor(tmp_path):
    path = tmp_path / "step.xml"
    path.write_text(
        "<mujoco><worldbody><geom name='low' type='plane' size='5 5 1'/>"
        "<geom name='step' type='box' size='1 1 .1' pos='2 0 .1'/></worldbody></mujoco>"
    )
    model = G1(terrain=path).spec().compile()
    names = [model.geom(i).name for i in range(model.ngeom)]
    assert "terrain/step" in names
    assert "floor" not in names
    data = mujoco.MjData(model)
    data.qpos[:3] = 2.0, 0.0, 0.9
    mujoco.mj_forward(model, data)
    assert data.ncon > 0  # it stands in the step


def test_parameters_of_the_built_in_robot_are_rejected_with_a_file(tmp_path):
    for parameters in ({"symmetrise": True}, {"self_collision": True}, {"feet": "box"}):
        with pytest.raises(MtrackError, match="built-in robot only"):
            G1(mjcf=tmp_path / "robot.xml", **parameters).spec()


def test_without_wrists_it_has_23_joints_and_weighs_the_same():
    robot, whole = G1(joints=23).model(), G1().model()
    assert len(robot.joint_names) == 23
    assert [name for name in whole.joint_names if "wrist" not in name] == list(robot.joint_names)
    assert robot.mass == whole.mass
    assert G1(joints=23).spec().compile().nq == 7 + 23


def test_its_description_has_no_problems():
    path = Path(mtrack_g1.__file__).with_name("g1.toml")
    assert [one.describe() for one in check_robot(path) if one.status == "problem"] == []
