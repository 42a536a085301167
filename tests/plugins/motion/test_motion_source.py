"""The source `motion_files`: the clips that it finds, and what it rejects before a run starts."""

from __future__ import annotations

import attrs
import pytest
from support.clips import swaying_clip

from mtrack import MotionError
from mtrack_motion.clip import joint_columns
from mtrack_motion.file import write_clip
from mtrack_motion.source import MotionFiles
from mtrack_testing import g1_model

MODEL = g1_model()


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "deep").mkdir()
    write_clip(tmp_path / "1.npz", swaying_clip(41, name="walk_b"))
    write_clip(tmp_path / "2.npz", swaying_clip(40, name="squat"))
    write_clip(tmp_path / "deep" / "3.npz", swaying_clip(42, name="walk_a"))
    return tmp_path


def names_of(**params):
    return [clip.name for clip in MotionFiles(**params).clips(MODEL)]


def test_clips_of_a_directory_are_sorted_by_name(directory):
    assert names_of(path=directory) == ["squat", "walk_a", "walk_b"]


def test_one_file_is_one_clip(directory):
    assert names_of(path=directory / "2.npz") == ["squat"]


def test_names_select_by_pattern(directory):
    assert names_of(path=directory, names=("walk_*",)) == ["walk_a", "walk_b"]


def test_a_pattern_that_matches_nothing_is_an_error(directory):
    with pytest.raises(MotionError, match=r"no clip is called 'squad'.*did you mean 'squat'"):
        names_of(path=directory, names=("squad",))


def test_an_empty_directory_says_how_to_fill_it(tmp_path):
    with pytest.raises(MotionError, match=r"no motion file.*motions import"):
        names_of(path=tmp_path)


def test_a_missing_path_is_named(tmp_path):
    with pytest.raises(MotionError, match="absent: there is no such file"):
        names_of(path=tmp_path / "absent")


def test_unusable_clips_are_left_out_with_a_reason(directory):
    (directory / "bad.npz").write_bytes(b"nothing")
    short = swaying_clip()
    short = attrs.evolve(short, name="short", joint_names=short.joint_names[1:], joint_pos=short.joint_pos[:, 1:])
    write_clip(directory / "short.npz", short)
    jump = swaying_clip(name="jump")
    jump.root_pos[20:, 0] += 5.0
    write_clip(directory / "jump.npz", jump)
    write_clip(directory / "twin.npz", swaying_clip(40, name="twin"))
    source = MotionFiles(path=directory)
    assert [clip.name for clip in source.clips(MODEL)] == ["squat", "walk_a", "walk_b"]
    assert "is text without a table of numbers" in source.left_out["bad.npz"]
    assert "left_hip_pitch_joint" in source.left_out["short"]
    assert "the root jumps by 500 cm from frame 19 to 20" in source.left_out["jump"]
    assert source.left_out["twin"] == "is the same motion as 'squat'"


def test_every_reason_is_given_if_no_clip_can_be_used(tmp_path):
    (tmp_path / "bad.npz").write_bytes(b"nothing")
    write_clip(tmp_path / "brief.npz", swaying_clip(5, name="brief"))
    with pytest.raises(MotionError) as caught:
        names_of(path=tmp_path)
    first, *reasons = str(caught.value).splitlines()
    assert first.endswith("no clip can be used")
    assert [reason.split(":")[0].strip() for reason in reasons] == ["bad.npz", "brief"]


def test_a_clip_of_other_joints_is_explained_by_the_names_that_the_robot_lacks():
    clip = swaying_clip(30)
    clip = attrs.evolve(clip, joint_names=("elbow_left", *clip.joint_names[1:]))
    with pytest.raises(MotionError, match=r"has no joint '\w+' of robot '\w+', but it has 'elbow_left'; "):
        joint_columns(clip, MODEL)


def test_two_clips_of_one_name_are_rejected(directory):
    write_clip(directory / "9.npz", swaying_clip(50, name="squat"))
    with pytest.raises(MotionError, match=r"'squat' is also in .*2\.npz"):
        names_of(path=directory)
