"""`mtrack new-robot` writes a robot.toml, a recipe and a picture that work, and says what is doubtful."""

from __future__ import annotations

import numpy as np
import pytest
import tomli
from matplotlib.image import imread
from support.small_biped import biped_xml

from mtrack import MtrackError, load_recipe
from mtrack_robot.new_robot import write_robot
from mtrack_robot.robot import Mjcf


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "models" / "small.xml"
    path.parent.mkdir()
    path.write_text(biped_xml())
    return path


def test_its_files_describe_and_train_the_robot(model, tmp_path):
    report = "\n".join(write_robot(model, tmp_path / "robots" / "small"))
    folder = tmp_path / "robots" / "small"
    data = tomli.loads((folder / "robot.toml").read_text())
    assert data["model"] == "../../models/small.xml"
    assert len(data["joints"]) == 18
    assert Mjcf(path=folder / "robot.toml").model().sets["feet"] == ("foot_l", "foot_r")
    recipe = load_recipe(folder / "small_tracking.toml")
    assert recipe.robot.build().model().name == "small"
    assert f"mtrack run {folder / 'small_tracking.toml'}" in report
    assert "18 of 18 joints: mtrack assumes 20 rad/s" in report
    picture = imread(folder / "robot.png")
    colours = np.unique(picture.reshape(-1, picture.shape[-1]).round(1), axis=0)
    assert len(colours) > 40


def test_reasons_are_comments(model, tmp_path):
    write_robot(model, tmp_path / "small")
    lines = (tmp_path / "small" / "robot.toml").read_text().splitlines()
    assert any(line.startswith("root_height") and "by inverse kinematics" in line for line in lines)
    assert any(line.startswith("l_knee") and "velocity assumed" in line for line in lines)
    assert any(line.startswith("rule") and "effort limit" in line for line in lines)


def test_an_existing_description_is_kept(model, tmp_path):
    write_robot(model, tmp_path / "small")
    with pytest.raises(MtrackError, match="exists already"):
        write_robot(model, tmp_path / "small")
