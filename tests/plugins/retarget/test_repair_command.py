"""`mtrack motions repair` as a user sees it."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from support.clips import swaying_clip
from support.motion_commands import run, stamps

from mtrack import MotionError
from mtrack_motion.file import read_clip, write_clip
from mtrack_retarget.repairing import _RepairClip
from mtrack_testing import g1_model


def test_repaired_clips_are_listed_and_their_files_say_what_was_done(clips, tmp_path):
    result = run("repair", clips, "-o", tmp_path / "out")
    row = next(line.split() for line in result.stdout.splitlines() if line.strip().startswith("sway"))
    assert row[1] == "0.6"
    assert "→" in row
    assert "2 repaired, " in result.stdout
    written = read_clip(tmp_path / "out" / "sway.npz")
    assert (written.name, written.licence, len(written.root_pos)) == ("sway", "CC0", 30)
    assert written.source.startswith("made up; repaired for g1 by mtrack ")
    assert "soles fixed in " in written.source
    assert written.source.partition(": ")[2] in result.stderr


def test_json_has_the_measures_before_and_after(clips, tmp_path):
    first, second = json.loads(run("repair", clips, "-o", tmp_path / "out", "--json").stdout)
    assert (first["clip"], second["clip"]) == ("long sway", "sway")
    assert first["file"] == str(tmp_path / "out" / "long_sway.npz")
    assert first["before"]["skate_mm_per_s"] > 20 > first["after"]["skate_mm_per_s"]
    assert first["problem"] == ""


def test_another_option_or_motion_needs_overwrite(clips, tmp_path):
    sway, out = clips / "sway.npz", tmp_path / "out"
    run("repair", sway, "-o", out)
    before = stamps(out)
    said = run("repair", sway, "-o", out, "--keep-root-xy", code=2).stderr
    assert "sway.npz exists with another motion, or from other options" in said
    assert "--overwrite" in said
    write_clip(sway, swaying_clip(33, name="sway"))
    assert "1 not repaired" in run("repair", sway, "-o", out, code=2).stdout
    assert stamps(out) == before
    run("repair", sway, "-o", out, "--overwrite")
    assert len(read_clip(out / "sway.npz").root_pos) == 33


def test_two_motions_of_one_name_are_not_lost_silently(tmp_path):
    for folder, frames in (("a", 30), ("b", 33)):
        (tmp_path / "in" / folder).mkdir(parents=True)
        write_clip(tmp_path / "in" / folder / "sway.npz", swaying_clip(frames, name="sway"))
    result = run("repair", tmp_path / "in", "-o", tmp_path / "out", "--overwrite", code=2)
    assert "sway.npz was written for two motions of this command, and contains one of them" in result.stderr
    assert "1 repaired" in result.stdout


def test_a_damaged_result_is_replaced_only_on_request(clips, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sway.npz").write_bytes(b"PK")
    assert "--overwrite" in run("repair", clips / "sway.npz", "-o", tmp_path / "out", code=2).stderr
    run("repair", clips / "sway.npz", "-o", tmp_path / "out", "--overwrite")


def test_a_blend_makes_the_clip_longer_and_a_picture_shows_it(clips, tmp_path):
    sway = swaying_clip(36)
    still = np.tile(g1_model().default_joint_pos.numpy(), (36, 1))
    upright = np.tile(np.array([1.0, 0.0, 0.0, 0.0], np.float32), (36, 1))
    write_clip(
        clips / "b.npz",
        swaying_clip(
            36,
            name="still",
            joint_pos=still + 0.1 * (sway.joint_pos - still),
            root_quat_wxyz=upright,
            root_pos=np.tile(sway.root_pos[0], (36, 1)),
        ),
    )
    run("repair", clips, "-o", tmp_path / "out", "--only", "stil", "--blend", 0.2, "--pictures", tmp_path / "pictures")
    (file,) = (tmp_path / "out").iterdir()
    assert file.name == "still.npz"
    assert len(read_clip(file).root_pos) == 36 + 2 * 10
    assert "with blend_s 0.2" in read_clip(file).source
    assert (tmp_path / "pictures" / "still.png").read_bytes()[:4] == b"\x89PNG"


def test_a_person_cannot_be_repaired(people, tmp_path):
    with pytest.raises(MotionError, match="mtrack motions retarget FILE -o DIR"):
        run("repair", people / "walk.npz", "-o", tmp_path / "out")


def test_an_interrupted_repair_continues(clips, tmp_path, monkeypatch):
    repaired = []
    original = _RepairClip.__call__

    def once(self, item):
        if repaired:
            raise KeyboardInterrupt
        repaired.append(item)
        return original(self, item)

    with monkeypatch.context() as patch:
        patch.setattr(_RepairClip, "__call__", once)
        run("repair", clips, "-o", tmp_path / "out", code=130)
    (done,) = stamps(tmp_path / "out").items()
    read_clip(tmp_path / "out" / done[0])
    result = run("repair", clips, "-o", tmp_path / "out")
    assert "1 repaired" in result.stdout
    assert "1 already repaired" in result.stdout
    assert stamps(tmp_path / "out")[done[0]] == done[1]
    shutil.rmtree(tmp_path / "out")
    run("repair", clips, "-o", tmp_path / "out")
    assert (tmp_path / "out" / done[0]).read_bytes() == done[1][1]
