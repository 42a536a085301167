"""Every parameter of an importer can be set with `--set`, and none is ignored."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.clips import swaying_clip
from support.foreign import write
from typer.testing import CliRunner

from mtrack import MtrackError
from mtrack_motion.cli import motions
from mtrack_motion.file import read_clip
from mtrack_testing import install

ACME = '''
"""An importer with parameters of its own."""
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np

from mtrack import MotionError
from mtrack import Clip
from mtrack import component, param, positive
from mtrack import Robot


@component
class Acme:
    """Reads first lines `acme-motion,FPS`."""

    scale: float = param(default=1.0, validator=positive)
    """Factor."""
    unit: Literal["deg", "rad"] = param(default="rad")
    """Unit."""

    def recognises(self, path: Path) -> str:
        return "an acme csv" if path.read_bytes().startswith(b"acme-motion,") else ""

    def clips(self, path: Path, robot: Robot) -> Iterator[Clip]:
        model = robot.model()
        lines = path.read_text().splitlines()
        rows = np.array([[float(cell) for cell in line.split(",")] for line in lines[1:]], np.float32)
        factor = self.scale * (np.pi / 180 if self.unit == "deg" else 1.0)
        yield Clip(path.stem, 30.0, model.joint_names, rows[:, :3], rows[:, [6, 3, 4, 5]], rows[:, 7:] * factor)
'''


@pytest.fixture
def acme(site: Path, tmp_path: Path) -> Path:
    install(site, "acme-motion", {"mtrack.importers": {"acme_csv": "acme_parts:Acme"}}, {"acme_parts.py": ACME})
    csv = write("Unitree csv", swaying_clip(10, name="walk"), tmp_path)
    csv.write_text("acme-motion,30\n" + csv.read_text())
    return csv


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(motions, ["import", *map(str, arguments)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.stderr
    return result.stderr


def test_a_third_party_importer_takes_its_own_parameters(acme, tmp_path):
    said = run(acme, "-o", tmp_path / "out", "--set", "scale=0.5", "--set", "unit=rad")
    assert "acme_csv: an acme csv" in said  # the table is its own, although it is one of numbers too
    assert np.allclose(read_clip(tmp_path / "out" / "walk.npz").joint_pos, 0.5 * swaying_clip(10).joint_pos, atol=1e-5)


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("scale=big", "scale: expected a number, got a string"),
        ("scale=-1", "scale: 'scale' must be > 0"),
        ("unit=radian", 'unit: expected one of "deg", "rad"; did you mean \'rad\'?'),
    ],
)
def test_a_value_of_another_type_is_that_files_error(acme, tmp_path, setting, says):
    said = run(acme, "-o", tmp_path / "out", "--set", setting, code=2)
    assert f"{acme}: importer 'acme_csv' (acme-motion 1.0), {says}" in said
    assert "parameters: scale (float, 1.0), unit" in said


def test_a_parameter_of_no_importer_is_an_error_before_anything_is_read(acme, tmp_path):
    with pytest.raises(MtrackError, match=r"--set fsp=50: no importer has a parameter 'fsp'; did you mean 'fps'\?"):
        run(acme, "-o", tmp_path / "out", "--set", "fsp=50")
    with pytest.raises(MtrackError, match=r"'acme_csv' .*no parameter 'scal'; did you mean 'scale'.*parameters: scale"):
        run(acme, "-o", tmp_path / "out", "--format", "acme_csv", "--set", "scal=2")
    for text in ("scale", "=2", "a.b=2"):
        with pytest.raises(MtrackError, match="expected NAME=VALUE"):
            run(acme, "-o", tmp_path / "out", "--set", text)


@pytest.mark.parametrize("flag", [("--fps", "50"), ("--fill-missing",)])
def test_a_flag_that_an_importer_lacks_is_an_error_of_its_file_only(acme, tmp_path, flag):
    folder = tmp_path / "in"
    folder.mkdir()
    acme.rename(folder / "acme.csv")
    write("Unitree csv", swaying_clip(10, name="walk"), folder)
    said = run(folder, "-o", tmp_path / "out", *flag, code=2)
    name = flag[0].removeprefix("--").replace("-", "_")
    assert f"{folder / 'acme.csv'}: importer 'acme_csv' (acme-motion 1.0) has no parameter '{name}'" in said
    assert "its parameters: scale (float, 1.0), unit" in said
    assert f"without {flag[0]}" in said
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["walk.npz"]


def test_flags_are_shortcuts_for_settings(tmp_path):
    csv = write("Unitree csv", swaying_clip(10, name="walk"), tmp_path)
    for number, arguments in enumerate((("--fps", "40"), ("--set", "fps=40"), ("--set", "fps=40.0"))):
        run(csv, "-o", tmp_path / str(number), *arguments)
        assert read_clip(tmp_path / str(number) / "walk.npz").fps == 40.0
    with pytest.raises(MtrackError, match="fps is given twice"):
        run(csv, "-o", tmp_path / "out", "--set", "fps=40", "--fps", "40")


@pytest.mark.parametrize("fps", ["-30", "0", "2000", "nan"])
def test_an_impossible_frame_rate_is_an_error_of_the_rate(tmp_path, fps):
    csv = write("Unitree csv", swaying_clip(10, name="walk"), tmp_path)
    said = run(csv, "-o", tmp_path / "out", f"--fps={fps}", code=2)
    assert "fps: " in said
    assert "reorder" not in said


def test_json_output_has_the_same_results(acme, tmp_path):
    result = CliRunner().invoke(motions, ["import", str(acme), "-o", str(tmp_path / "out"), "--fps=50", "--json"])
    (entry,) = json.loads(result.stdout)
    assert result.exit_code == 2
    assert "has no parameter 'fps'" in entry["problem"]
