"""What `mtrack motions repair`, `retarget` and `split` have in common, as a user sees it."""

from __future__ import annotations

import numpy as np
import pytest
from support.clips import swaying_clip
from support.motion_commands import run, stamps

from mtrack import MotionError, MtrackError
from mtrack_motion.file import write_clip
from mtrack_retarget import cli


@pytest.mark.parametrize("command", ["repair", "retarget", "split"])
def test_the_same_command_again_writes_nothing(command, tmp_path, request):
    folder = request.getfixturevalue("people" if command == "retarget" else "clips")
    lengths = ("--longest", 0.4, "--shortest", 0.2) if command == "split" else ()
    run(command, folder, "-o", tmp_path / "out", *lengths)
    before = stamps(tmp_path / "out")
    again = run(command, folder, "-o", tmp_path / "out", *lengths)
    assert stamps(tmp_path / "out") == before
    said = {"repair": "2 already repaired", "retarget": "2 already done", "split": "(already done)"}[command]
    assert said in again.stdout


@pytest.mark.parametrize("command", ["repair", "split"])
def test_a_damaged_file_does_not_stop_the_others(command, clips, tmp_path):
    (clips / "b.npz").write_bytes((clips / "sway.npz").read_bytes()[:400])
    write_clip(clips / "other.npz", swaying_clip(joint_names=("hip",), joint_pos=np.zeros((40, 1), np.float32)))
    said = run(command, clips, "-o", tmp_path / "out", code=2).stderr
    assert len(list((tmp_path / "out").iterdir())) == 2
    assert f"error: {clips / 'b.npz'}: " in said
    assert f"error: {clips / 'other.npz'}: " in said


@pytest.mark.parametrize(
    ("command", "arguments", "says"),
    [
        ("repair", ("--only", "jump"), "no clip is named like --only jump"),
        ("repair", ("--robot", "g2"), "no robot named 'g2'"),
        ("split", ("--shortest", 11), "must be above 0 and at most half of --longest 20"),
        ("retarget", ("--format", "fbx"), "no skeleton_source named 'fbx'"),
        ("retarget", ("--set", "speed=2"), "--set speed=2: no importer has a parameter 'speed'"),
    ],
)
def test_a_wrong_choice_stops_the_command(clips, tmp_path, command, arguments, says):
    with pytest.raises(MtrackError, match=says):
        run(command, clips, "-o", tmp_path / "out", *arguments)


@pytest.mark.parametrize("command", ["repair", "retarget", "split"])
def test_a_path_without_motions_is_an_error(command, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(MotionError, match=str(tmp_path / "empty")):
        run(command, tmp_path / "empty", "-o", tmp_path / "out")


@pytest.mark.parametrize("command", ["repair", "retarget", "split"])
def test_without_its_packages_a_command_says_what_to_install(command, tmp_path, monkeypatch):
    monkeypatch.setattr(cli, "_PACKAGES", ("mink", "no_such_package"))
    with pytest.raises(MtrackError, match=r'needs no_such_package: python -m pip install "mtrack\[retarget\]"'):
        run(command, tmp_path, "-o", tmp_path / "out")
