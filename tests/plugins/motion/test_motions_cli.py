"""`mtrack motions import` and `mtrack motions info`, as a user sees them."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys

import pytest
from support.clips import SAMPLES, needs_samples, swaying_clip
from support.pickles import asap_motion
from typer.testing import CliRunner

from mtrack import MtrackError
from mtrack_motion.cli import motions
from mtrack_motion.file import read_clip, write_clip


def run(*arguments: object, code: int = 0):
    result = CliRunner().invoke(motions, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.stderr
    return result


def csv(path, **changes):
    clip = swaying_clip(fps=30.0, **changes)
    rows = zip(clip.root_pos, clip.root_quat_wxyz[:, [1, 2, 3, 0]], clip.joint_pos, strict=True)
    lines = [",".join(f"{float(value):.9g}" for part in row for value in part) for row in rows]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_the_commands_import_nothing_heavy():
    script = "import sys, mtrack_motion.cli; print(sorted({'torch', 'numpy', 'mujoco'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@needs_samples
def test_a_directory_is_imported_file_by_file(tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("walk_level1", "squat_level1"):
        (tmp_path / "in" / f"{name}.pkl").symlink_to(SAMPLES / "asap" / f"{name}.pkl")
    csv(tmp_path / "in" / "sway.csv")
    (tmp_path / "in" / "README.md").write_text("nothing to import")
    result = run("import", tmp_path / "in", "-o", tmp_path / "out", "--fill-missing", "--licence", "MIT")
    written = [tmp_path / "out" / f"{name}.npz" for name in ("squat_level1", "sway", "walk_level1")]
    assert result.stdout.split() == [str(path) for path in written]
    assert [read_clip(path).name for path in written] == ["squat_level1", "sway", "walk_level1"]
    assert read_clip(written[0]).licence == "MIT"
    assert result.stderr.count("kept at their default: left_wrist_roll_joint") == 1
    assert "asap_pickle: ASAP pickle, 1 motion" in result.stderr
    assert "assumed: 30 frames per second" in result.stderr
    assert "3 clips written" in result.stderr


def test_an_imported_csv_is_the_motion_it_held(tmp_path):
    run("import", csv(tmp_path / "sway.csv"), "-o", tmp_path, "--fps", "30")
    clip, expected = read_clip(tmp_path / "sway.npz"), swaying_clip(fps=30.0)
    assert clip.joint_names == expected.joint_names
    assert abs(clip.joint_pos - expected.joint_pos).max() < 1e-7


def test_a_problem_in_one_file_stops_no_other(tmp_path):
    good, bad = csv(tmp_path / "good.csv"), csv(tmp_path / "bad.csv")
    bad.write_text(bad.read_text().replace("0", "x", 1).replace("x", "0", 1) + "1,2,3\n")
    result = run("import", tmp_path, "-o", tmp_path / "out", code=2)
    assert result.stdout.split() == [str(tmp_path / "out" / "good.npz")]
    assert f"error: {bad}" in result.stderr
    assert "line 41" in result.stderr
    assert str(good) in result.stderr


def test_a_hostile_pickle_is_rejected_by_name_and_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (os.system, (f"touch {tmp_path / 'ran'}",))

    (tmp_path / "trap.pkl").write_bytes(pickle.dumps({"walk": Trap()}))
    result = run("import", tmp_path / "trap.pkl", "-o", tmp_path / "out", code=2)
    assert "posix.system" in result.stderr
    assert result.stdout == ""
    assert not (tmp_path / "ran").exists()


def test_a_name_from_a_file_cannot_leave_the_directory(tmp_path):
    path = tmp_path / "two.pkl"
    path.write_bytes(pickle.dumps({"../../evil": asap_motion(), "walk": asap_motion(30)}))
    run("import", path, "-o", tmp_path / "out", "--fill-missing")
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["_.._evil.npz", "walk.npz"]


def test_another_motion_is_overwritten_only_on_request(tmp_path):
    path = csv(tmp_path / "sway.csv")
    write_clip(tmp_path / "sway.npz", swaying_clip(10))
    result = run("import", path, "-o", tmp_path, code=2)
    assert "--overwrite" in result.stderr
    assert len(read_clip(tmp_path / "sway.npz").root_pos) == 10
    run("import", path, "-o", tmp_path, "--overwrite")
    assert len(read_clip(tmp_path / "sway.npz").root_pos) == 40
    run("import", path, "-o", tmp_path)  # the same motion again is no conflict


def test_a_file_that_the_user_named_is_an_error_even_if_a_directory_would_skip_it(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    said = run("import", tmp_path / "notes.txt", "-o", tmp_path / "out", code=2).stderr
    assert "notes.txt: is text without a table of numbers (it begins with 'nothing')" in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--format", "unitree_cvs"), "did you mean 'unitree_csv'"),
        (("--format", "motion_file", "--fps=50"), "no parameter 'fps'.*its parameters: fill_missing"),
        (("--robot", "g2"), "no robot named 'g2'"),
    ],
)
def test_a_wrong_choice_is_explained(tmp_path, arguments, says):
    with pytest.raises(MtrackError, match=says):
        run("import", csv(tmp_path / "sway.csv"), "-o", tmp_path / "out", *arguments)


def test_import_prints_the_result_of_each_file_as_json(tmp_path):
    path = csv(tmp_path / "sway.csv")
    (entry,) = json.loads(run("import", path, "-o", tmp_path / "out", "--json").stdout)
    assert entry["source"] == str(path)
    assert entry["file"] == str(tmp_path / "out" / "sway.npz")
    assert entry["found"].startswith("unitree_csv")


def test_info_lists_clips_with_totals(tmp_path):
    write_clip(tmp_path / "a.npz", swaying_clip(101, name="first", licence="CC0"))
    write_clip(tmp_path / "b.npz", swaying_clip(51, name="second"))
    header, first, second, total = run("info", tmp_path).stdout.splitlines()
    assert header.split()[:4] == ["clip", "fps", "frames", "s"]
    assert first.split()[:5] == ["first", "50", "101", "2.00", "29"]
    assert "CC0" in first
    assert second.startswith("second")
    assert total == "2 clips, 152 frames, 0.1 min"


def test_info_prints_everything_as_json(tmp_path):
    write_clip(tmp_path / "a.npz", swaying_clip(101, source="somewhere"))
    (entry,) = json.loads(run("info", tmp_path / "a.npz", "--json").stdout)
    assert (entry["name"], entry["frames"], entry["seconds"], entry["joints"]) == ("sway", 101, 2.0, 29)
    assert entry["source"] == "somewhere"
    assert 0.75 < entry["root_height_min"] < entry["root_height_max"] < 0.8
    assert 0.1 < entry["max_joint_speed"] < 0.2
    assert len(entry["sha256"]) == 64


def test_info_names_bad_files_and_lists_the_others(tmp_path):
    write_clip(tmp_path / "a.npz", swaying_clip())
    (tmp_path / "bad.npz").write_bytes(b"PK")
    result = run("info", tmp_path, code=2)
    assert "bad.npz" in result.stderr
    assert "1 clip," in result.stdout
