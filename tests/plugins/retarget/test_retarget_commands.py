"""`mtrack motions repair`, `retarget` and `split` as a user sees them."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import typer
from support.clips import swaying_clip
from support.skeletons import walking_person
from typer.testing import CliRunner

from mtrack import MotionError, MtrackError
from mtrack_motion.file import read_clip, write_clip
from mtrack_retarget import cli
from mtrack_retarget.repairing import _RepairClip
from mtrack_testing import g1_model, install


def run(command: str, *arguments: object, code: int = 0):
    app = typer.Typer()
    app.command()(getattr(cli, command))
    jobs = () if command == "split" or "--jobs" in arguments else ("--jobs", 1)
    result = CliRunner().invoke(app, [str(argument) for argument in (*arguments, *jobs)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.stderr
    return result


def write_person(path: Path, frames: int = 15, **changes) -> Path:
    motion = walking_person(frames, **changes)
    path.parent.mkdir(exist_ok=True)
    np.savez(path, positions=motion.pos, joint_names=np.array(motion.joint_names), fps=motion.fps or 30.0)
    return path


def stamps(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {file.name: (file.stat().st_mtime_ns, file.read_bytes()) for file in sorted(folder.iterdir())}


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Return a directory with two clips."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name, frames in (("sway", 30), ("long sway", 36)):
        write_clip(folder / f"{name}.npz", swaying_clip(frames, name=name, source="made up", licence="CC0"))
    return folder


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Return a directory with two people."""
    write_person(tmp_path / "in" / "walk.npz")
    write_person(tmp_path / "in" / "stroll.npz", 18)
    return tmp_path / "in"


# ---- what they write


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


# ---- what is wrong with the input


@pytest.mark.parametrize("command", ["repair", "split"])
def test_a_damaged_file_does_not_stop_the_others(command, clips, tmp_path):
    (clips / "b.npz").write_bytes((clips / "sway.npz").read_bytes()[:400])
    write_clip(clips / "other.npz", swaying_clip(joint_names=("hip",), joint_pos=np.zeros((40, 1), np.float32)))
    said = run(command, clips, "-o", tmp_path / "out", code=2).stderr
    assert len(list((tmp_path / "out").iterdir())) == 2
    assert f"error: {clips / 'b.npz'}: " in said
    assert f"error: {clips / 'other.npz'}: " in said


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


def test_a_person_cannot_be_repaired(people, tmp_path):
    with pytest.raises(MotionError, match="mtrack motions retarget FILE -o DIR"):
        run("repair", people / "walk.npz", "-o", tmp_path / "out")


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


@pytest.mark.parametrize("command", ["repair", "retarget", "split"])
def test_a_path_without_motions_is_an_error(command, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(MotionError, match=str(tmp_path / "empty")):
        run(command, tmp_path / "empty", "-o", tmp_path / "out")


# ---- what a source assumes


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


# ---- parts


def test_parts_join_up_and_keep_to_the_lengths(tmp_path):
    clip = swaying_clip(200, name="sway", source="made up")
    write_clip(tmp_path / "sway.npz", clip)
    result = run("split", tmp_path / "sway.npz", "-o", tmp_path / "out", "--longest", 1.0, "--shortest", 0.5, "--json")
    entries = json.loads(result.stdout)
    parts = [read_clip(Path(entry["file"])) for entry in entries]
    assert [part.name for part in parts] == [f"sway_{number:03d}" for number in range(len(parts))]
    assert all(0.5 <= entry["seconds"] <= 1.0 for entry in entries)
    assert sum(entry["frames"] - 1 for entry in entries) == 199
    for name in ("root_pos", "root_quat_wxyz", "joint_pos"):
        arrays = [getattr(part, name) for part in parts]
        assert all(np.array_equal(one[-1], other[0]) for one, other in itertools.pairwise(arrays))
        assert np.array_equal(np.concatenate((arrays[0], *(array[1:] for array in arrays[1:]))), getattr(clip, name))
    assert parts[1].source == f"made up; frames {entries[1]['first_frame']} to {entries[2]['first_frame']}"
    # fewer parts leave the rest of the others behind
    fewer = ("--longest", 2.0, "--shortest", 1.0, "--overwrite")
    said = run("split", tmp_path / "sway.npz", "-o", tmp_path / "out", *fewer, code=2).stderr
    assert "is a part of an earlier, longer list; remove it" in said


# ---- interruptions


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


@pytest.mark.parametrize("command", ["repair", "retarget", "split"])
def test_without_its_packages_a_command_says_what_to_install(command, tmp_path, monkeypatch):
    monkeypatch.setattr(cli, "_PACKAGES", ("mink", "no_such_package"))
    with pytest.raises(MtrackError, match=r'needs no_such_package: python -m pip install "mtrack\[retarget\]"'):
        run(command, tmp_path, "-o", tmp_path / "out")
