"""`mtrack doctor --robot` finds each mistake in a robot and names it, with its line."""

from __future__ import annotations

import pytest
from support.small_biped import biped_urdf, biped_xml

from mtrack_robot.checks import check_robot
from mtrack_robot.derive import derive
from mtrack_robot.model_file import load_model
from mtrack_robot.writing import robot_toml


def problems(path):
    return [one.describe() for one in check_robot(path) if one.status == "problem"]


def checked_xml(folder, text):
    path = folder / "small.xml"
    path.write_text(text)
    return problems(path)


@pytest.fixture
def description(tmp_path):
    model = tmp_path / "small.xml"
    model.write_text(biped_xml())
    found = derive(model, load_model(model))
    file = tmp_path / "robot.toml"
    file.write_text(robot_toml(found.description, found.reasons, file))
    return file


def edit(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def line_of(file, start):
    return next(n for n, line in enumerate(file.read_text().splitlines(), 1) if line.startswith(start))


def test_a_good_robot_has_no_problems(description):
    assert problems(description) == []


def test_swapped_names(tmp_path):
    text = biped_xml().replace("shin_l", "shin_x").replace("shin_r", "shin_l").replace("shin_x", "shin_r")
    assert any("'shin_l'" not in one and "shin_l" in one and "right side" in one for one in checked_xml(tmp_path, text))


def test_an_axis_with_the_wrong_sign(tmp_path):
    # the left elbow now bends the other way, with the same range
    text = biped_xml().replace('name="l_elbow" axis="0 1 0"', 'name="l_elbow" axis="0 -1 0"')
    assert any("l_elbow" in one and "range" in one and "'r_elbow'" in one for one in checked_xml(tmp_path, text))


def test_a_wrong_mirror_sign_is_named_with_its_line(description):
    line = line_of(description, "l_hip_z")
    edit(description, 'mirror = "r_hip_z", sign = -1.0', 'mirror = "r_hip_z", sign = 1.0')
    found = problems(description)
    assert any(one.startswith(f"robot.toml:{line}: joints.l_hip_z: its mirror sign is +1") for one in found)


def test_a_crooked_axis(tmp_path):
    text = biped_xml().replace('name="l_ankle_y" axis="0 1 0"', 'name="l_ankle_y" axis="0 1 0.5"')
    assert any("l_ankle_y" in one and "not the mirror image" in one for one in checked_xml(tmp_path, text))


def test_a_longer_leg(tmp_path):
    text = biped_xml().replace('name="foot_l" pos="0 0 -0.25"', 'name="foot_l" pos="0 0 -0.255"')
    assert any("foot_l" in one and "5.0 mm" in one for one in checked_xml(tmp_path, text))


def test_a_missing_foot(description):
    edit(description, 'feet = ["foot_l", "foot_r"]', 'feet = ["foot_l"]')
    assert any("body_sets.feet: has 1 bodies" in one for one in problems(description))


def test_no_feet(description):
    edit(description, 'feet = ["foot_l", "foot_r"]\n', "")
    assert any("the set 'feet' is missing" in one for one in problems(description))


def test_a_foot_with_a_wrong_name(description):
    edit(description, 'feet = ["foot_l", "foot_r"]', 'feet = ["foot_l", "foot_rr"]')
    line = line_of(description, "feet")
    assert any(one.startswith(f"robot.toml:{line}: body_sets.feet") for one in problems(description))


@pytest.mark.parametrize(
    ("added", "said"),
    [
        ("stiffness = 0.0", "its stiffness is 0 N m/rad"),
        ("range = [0.5, -0.5]", "its range is reversed"),
        ("range = [1.0, 2.0]", "outside its range"),
        ("damping = -1.0", "its damping is -1"),
        ("effort = 0.0", "its effort is 0"),
        ("armature = -0.1", "its armature is -0.1"),
    ],
)
def test_numbers_that_cannot_be(description, added, said):
    key = added.split()[0]
    text = description.read_text().splitlines()
    place = line_of(description, "l_hip_y") - 1
    text[place] = text[place].replace("effort = 60.0,", "") if key == "effort" else text[place]
    text[place] = text[place].replace("{", f"{{ {added},", 1)
    description.write_text("\n".join(text))
    found = problems(description)
    assert any("l_hip_y" in one and said in one for one in found), found


def test_reversed_limits_in_the_model(tmp_path):
    text = biped_xml().replace(
        'name="l_knee" axis="0 -1 0" range="-2.2 0"', 'name="l_knee" axis="0 -1 0" range="0 -2.2"'
    )
    assert any("l_knee" in one and "range" in one for one in checked_xml(tmp_path, text))


def test_a_mass_of_three_tonnes(tmp_path):
    found = checked_xml(tmp_path, biped_xml(mass=3000.0))
    assert any("the robot weighs 3012 kg" in one and "'trunk'" in one for one in found)


def test_no_free_joint_is_added_and_said(tmp_path):
    path = tmp_path / "small.xml"
    path.write_text(biped_xml(free=""))
    notes = [one.describe() for one in check_robot(path) if one.status == "note"]
    assert any("'trunk' has no free joint" in one for one in notes)
    assert problems(path) == []


def test_a_root_on_a_slide_is_refused(tmp_path):
    found = checked_xml(tmp_path, biped_xml(free='<joint name="rail" type="slide"/>'))
    assert any("'rail'" in one and "not a free joint" in one for one in found)


def test_a_missing_mesh_of_a_package_is_named(tmp_path):
    path = tmp_path / "small.urdf"
    path.write_text(biped_urdf())
    notes = [one.describe() for one in check_robot(path) if one.status == "note"]
    assert any("package://small/meshes/trunk.stl" in one for one in notes)
    assert problems(path) == []


def test_unknown_keys_and_types_are_named_with_their_lines(description):
    edit(description, 'root = "trunk"', 'root = "trunk"\nrot = 1')
    edit(description, "effort = 60.0", 'effort = "much"')
    found = problems(description)
    assert len(found) == 2
    assert any(
        one.startswith(f"robot.toml:{line_of(description, 'rot')}: rot: unknown key; did you mean 'root'")
        for one in found
    )
    assert any("effort: expected a number" in one for one in found)


def test_a_file_that_does_not_exist(tmp_path):
    assert any("no such file" in one.lower() for one in problems(tmp_path / "robot.toml"))
