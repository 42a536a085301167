"""`--robot` means a registered robot or a robot file, in every command that has it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from mtrack import MotionError, MtrackError, NameProblem
from mtrack.registry.registry import Registry
from mtrack_motion.chosen_robot import chosen_robot
from mtrack_motion.cli import motions


class FromFile:
    """Stands for the component that reads robot files."""

    def __init__(self, path: Path) -> None:
        self.path = path


class FakeRegistry:
    """Has the component `mjcf` only."""

    def find(self, kind, name, prefers):
        assert (kind, name) == ("robot", "mjcf")
        return name

    def load(self, entry):
        return FromFile


@pytest.mark.parametrize("name", ["mine.toml", "mine.xml", "mine.URDF", "without_suffix"])
def test_a_file_is_read_by_the_component_for_files(name, tmp_path):
    file = tmp_path / name
    file.write_text("")
    assert chosen_robot(FakeRegistry(), str(file)).path == file


def test_a_missing_file_is_named():
    with pytest.raises(MtrackError, match=r"--robot no/such\.xml: there is no such file; check the path"):
        chosen_robot(FakeRegistry(), "no/such.xml")


def test_a_name_means_a_registered_robot_even_beside_a_directory_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("g1").mkdir()
    assert chosen_robot(Registry.scan(), "g1").model().name == "g1"
    with pytest.raises(NameProblem, match="g2"):
        chosen_robot(Registry.scan(), "g2")


def test_clips_are_made_for_the_chosen_robot(tmp_path):
    result = CliRunner().invoke(
        motions, ["make", "--kind", "stand", "--robot", "toy_robot", "-o", str(tmp_path / "made")]
    )
    assert isinstance(result.exception, MotionError)
    assert "no built-in clip can be made for robot 'toy'" in str(result.exception)
