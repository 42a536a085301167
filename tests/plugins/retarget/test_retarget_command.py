"""`mtrack motions retarget` as a user sees it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.clips import swaying_clip
from support.motion_commands import run, write_person
from support.skeletons import walking_person

from mtrack_motion.file import read_clip, write_clip
from mtrack_testing import install

TALKATIVE = '''"""A skeleton source that assumes things."""
import logging
from mtrack import component
from mtrack_retarget.joint_positions import JointPositions


@component
class Talkative:
    """Assumes."""

    def recognises(self, path):
        return "talk" if path.suffix == ".talk" else ""

    def skeletons(self, path):
        logging.getLogger("acme.parts").info("%s: assumed 30 frames per second", path)
        yield from JointPositions().skeletons(path.with_suffix(".npz"))
        raise ZeroDivisionError("the second is missing")
'''


def test_retargeted_people_are_listed_with_what_they_were_taken_for(people, tmp_path):
    result = run("retarget", people, "-o", tmp_path / "out", "--rate", 40, "--licence", "CC0")
    row = next(line.split() for line in result.stdout.splitlines() if line.strip().startswith("walk"))
    assert row[1:3] == ["0.5", "0.80"]
    assert "2 retargeted, " in result.stdout
    assert result.stderr.count("unit: metres; up: z; ") == 1  # the same for both
    assert "assumed: the unit" in result.stderr
    written = read_clip(tmp_path / "out" / "walk.npz")
    assert (written.fps, written.licence) == (40.0, "CC0")
    assert written.source.startswith("walk.npz; retargeted to g1 at 40 fps by mtrack ")
    (entry,) = json.loads(run("retarget", people / "walk.npz", "-o", tmp_path / "json", "--json").stdout)
    assert entry["keypoint_mm"] < 30
    assert entry["reading"][0] == "joint_positions: joint positions, 15 frames, 22 joints"


def test_several_processes_give_the_same_bytes_as_one(people, tmp_path):
    one, other = (
        json.loads(run("retarget", people, "-o", tmp_path / jobs, "--jobs", jobs, "--json").stdout) for jobs in "12"
    )
    assert [entry["clip"] for entry in one] == [entry["clip"] for entry in other] == ["stroll", "walk"]
    for name in ("walk.npz", "stroll.npz"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_files_without_a_person_are_reported_or_skipped(people, tmp_path):
    (people / "README.md").write_text("People who walk.")
    (people / "cut.npz").write_bytes((people / "walk.npz").read_bytes()[:400])
    write_clip(people / "robot.npz", swaying_clip())
    np.savetxt(
        people / "robot.csv", np.hstack((np.tile([0, 0, 0.8, 0, 0, 0, 1], (20, 1)), np.zeros((20, 29)))), delimiter=","
    )
    (people / "a.fbx").write_bytes(b"Kaydara FBX Binary  \x00\x1a\x00")
    result = run("retarget", people, "-o", tmp_path / "out", code=2)
    said = result.stderr
    assert f"{people / 'README.md'}: skipped: is a document" in said
    assert f"error: {people / 'cut.npz'}: " in said
    assert f"error: {people / 'robot.npz'}: contains the motion of a robot, not of a person" in said
    assert "`mtrack motions repair FILE -o DIR`" in said
    assert "`mtrack motions import FILE -o DIR`" in said
    assert "is an FBX file" in said
    assert "2 retargeted" in result.stdout
    assert "4 not retargeted" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--unit", "cm"), "with --unit centimetres, the person is"),
        (("--unit", "feet"), "--unit feet: is neither"),
        (("--up", "-z"), "with -z up, the person is upside down"),
        (("--names", "names.toml"), "names.toml"),
        (("--fps", "0.5"), "fps"),
    ],
)
def test_a_wrong_reading_of_a_person_is_explained(people, tmp_path, arguments, says):
    said = run("retarget", people / "walk.npz", "-o", tmp_path / "out", *arguments, code=2).stderr
    assert says in said
    assert not list((tmp_path / "out").iterdir())


def test_what_a_source_assumes_is_shown_and_a_later_failure_keeps_the_first_person(site, tmp_path):
    install(site, "acme", {"mtrack.skeleton_sources": {"talk": "acme_talk:Talkative"}}, {"acme_talk.py": TALKATIVE})
    write_person(tmp_path / "walk.npz")
    (tmp_path / "walk.talk").touch()
    result = run("retarget", tmp_path / "walk.talk", "-o", tmp_path / "out", "--json", code=2)
    failed, walked = sorted(json.loads(result.stdout), key=lambda entry: entry["clip"])
    assert walked["reading"][:2] == ["talk: talk", "assumed 30 frames per second"]
    assert Path(walked["file"]).is_file()
    assert failed["problem"].startswith(f"{tmp_path / 'walk.talk'}: skeleton_source 'talk' (acme 1.0): raised Zero")
    assert "  assumed 30 frames per second\n" in result.stderr


def test_positions_without_names_are_assumed_to_be_smpls(tmp_path):
    motion = walking_person(15)
    np.savez(tmp_path / "walk.npz", positions=motion.pos, fps=30.0)
    said = run("retarget", tmp_path / "walk.npz", "-o", tmp_path / "out").stderr
    assert "  has no joint_names; assumed the order of SMPL's 22 joints\n" in said
