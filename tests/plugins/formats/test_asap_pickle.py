"""The importer `asap_pickle` reads sample motions completely, and checks or assumes orders and rates."""

from __future__ import annotations

import logging
import os
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.clips import ROBOT, SAMPLES, needs_samples
from support.pickles import asap_motion, joblib_dump

from mtrack import MotionError
from mtrack_formats.asap import AsapPickle
from mtrack_formats.joint_orders import G1_23, G1_29, WRISTS
from mtrack_formats.restricted import read_pickle
from mtrack_g1.robot import G1
from mtrack_motion.file import read_clip, write_clip
from mtrack_testing import same_motion

FILLING = AsapPickle(fill_missing=True)
SAMPLE_NAMES = sorted(path.stem for path in SAMPLES.glob("asap/*.pkl"))


@pytest.fixture
def clips(tmp_path):
    def import_motions(content: object, importer: AsapPickle = FILLING) -> list:
        (tmp_path / "file.pkl").write_bytes(pickle.dumps(content))
        return list(importer.clips(tmp_path / "file.pkl", ROBOT))

    return import_motions


def test_there_is_a_sample_for_every_clip_of_the_set():
    assert not SAMPLES.is_dir() or len(SAMPLE_NAMES) == 37


@needs_samples
@pytest.mark.parametrize("name", SAMPLE_NAMES)
def test_a_sample_survives_import_and_a_round_trip(name, tmp_path):
    path = SAMPLES / "asap" / f"{name}.pkl"
    (original,) = read_pickle(path).values()
    assert FILLING.recognises(path) == "ASAP pickle, 1 motion"
    (clip,) = FILLING.clips(path, ROBOT)
    assert (clip.name, clip.fps, clip.joint_names) == (name, 30.0, G1_29)
    assert np.array_equal(clip.root_pos, original["root_trans_offset"])
    kept = [G1_29.index(joint) for joint in G1_23]
    assert np.array_equal(clip.joint_pos[:, kept], original["dof"])
    assert not clip.joint_pos[:, [G1_29.index(joint) for joint in WRISTS]].any()
    assert np.allclose(clip.root_quat_wxyz[:, [1, 2, 3, 0]], original["root_rot"], atol=1e-6)
    write_clip(tmp_path / "clip.npz", clip)
    assert same_motion(read_clip(tmp_path / "clip.npz"), clip)


def test_the_joint_names_are_those_of_the_robot():
    assert G1().model().joint_names == G1_29
    assert len(G1_23) == 23


def test_missing_joints_are_named_and_filled_only_on_request(clips, caplog):
    with pytest.raises(MotionError, match=r"has no left_wrist_roll_joint.*--fill-missing"):
        clips({"walk": asap_motion()}, AsapPickle())
    (clip,) = clips({"walk": asap_motion()})
    assert "kept at their default: left_wrist_roll_joint" in caplog.text
    assert "kept at their default: left_wrist_roll_joint" in clip.source


def test_a_file_with_all_joints_needs_no_filling(clips):
    content = asap_motion(joints=G1_29)
    (clip,) = clips({"walk": content}, AsapPickle())
    assert np.allclose(clip.joint_pos, content["dof"], atol=1e-6)


def test_a_single_motion_is_named_after_its_file_and_several_by_their_keys(clips):
    assert [clip.name for clip in clips({"0-long_name": asap_motion()})] == ["file"]
    assert [clip.name for clip in clips(asap_motion())] == ["file"]
    assert [clip.name for clip in clips({"a": asap_motion(), "b": asap_motion(30)})] == ["a", "b"]


def test_assumptions_are_logged_if_nothing_can_be_checked(clips, caplog):
    content = asap_motion()
    del content["pose_aa"]
    with caplog.at_level(logging.INFO):
        clips({"walk": content})
    assert "assumed: the root quaternion is x, y, z, w" in caplog.text
    assert "assumed: the joints are in the order left_hip_pitch_joint, left_hip_roll_joint" in caplog.text
    assert "30 frames per second" in caplog.text


def test_another_quaternion_order_is_corrected_with_a_warning(clips, caplog):
    swapped = asap_motion()
    swapped["root_rot"] = swapped["root_rot"][:, [3, 0, 1, 2]]
    (expected,) = clips({"walk": asap_motion()})
    (clip,) = clips({"walk": swapped})
    assert np.array_equal(clip.root_quat_wxyz, expected.root_quat_wxyz)
    assert "root_rot is w, x, y, z" in caplog.text


def test_contradicting_rotations_are_rejected(clips):
    content = asap_motion()
    content["root_rot"] = np.tile([0.0, 0.0, 0.7071068, 0.7071068], (20, 1))
    with pytest.raises(MotionError, match="contradict each other"):
        clips({"walk": content})


def test_another_joint_order_is_rejected(clips):
    content = asap_motion()
    content["dof"] = content["dof"][:, ::-1]
    with pytest.raises(MotionError, match="column 0 is not left_hip_pitch_joint"):
        clips({"walk": content})


def test_an_unproven_quaternion_order_is_detected_by_an_upside_down_robot(clips):
    content = asap_motion()
    del content["pose_aa"]
    content["root_rot"] = content["root_rot"][:, [3, 0, 1, 2]]
    with pytest.raises(MotionError, match="its quaternion w, x, y, z: read that way"):
        clips({"walk": content})


@pytest.mark.parametrize("fps", [30, 30.0, np.int64(30), np.array([30.0])], ids=str)
def test_the_rate_may_be_any_number(clips, fps):
    (clip,) = clips({"walk": asap_motion() | {"fps": fps}})
    assert clip.fps == 30.0


def test_a_given_rate_overrides_the_file_with_a_warning(clips, caplog):
    (clip,) = clips({"walk": asap_motion()}, AsapPickle(fps=60.0, fill_missing=True))
    assert clip.fps == 60.0
    assert "60 frames per second, from --fps" in caplog.text


def test_rows_may_be_lists(clips):
    content = asap_motion()
    (clip,) = clips({"walk": content | {"dof": content["dof"].tolist()}})
    (expected,) = clips({"walk": content})
    assert np.array_equal(clip.joint_pos, expected.joint_pos)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"dof": np.zeros((20, 22))}, r"'dof' is float64 \(20, 22\), expected numbers \[T, 23 or 29\]"),
        ({"dof": "zeros"}, "'dof' is str"),
        ({"root_rot": np.zeros((20, 4)), "pose_aa": None}, "the norm is 0"),
        ({"root_rot": np.zeros((3, 4)), "pose_aa": None}, "root_quat_wxyz: the shape"),
        ({"pose_aa": 0}, "'pose_aa' is int"),
        ({"pose_aa": np.zeros((20, 20, 3))}, r"'pose_aa' is \(20, 20, 3\)"),
        ({"root_trans_offset": np.full((20, 3), np.nan)}, "root_pos, frame 0, x: the value is nan"),
        ({"fps": 0}, "'fps' is 0"),
        ({"fps": "fast"}, "'fps' is not a single number"),
        ({"fps": True}, "'fps' is not a single number"),
        ({"fps": None}, "has no frame rate"),
        ({"dof": [[0.0] * 23, [0.0] * 29]}, "'dof' is list"),
    ],
)
def test_bad_content_is_named_with_file_and_motion(clips, change, says):
    with pytest.raises(MotionError, match=f"file.pkl: motion 'walk': .*{says}"):
        clips({"walk": asap_motion() | change})


def test_a_file_without_a_motion_is_explained(clips):
    with pytest.raises(MotionError, match="contains other, which no importer recognises"):
        clips({"walk": {"other": 1}})


def test_only_asap_pickles_are_recognised(tmp_path):
    path = tmp_path / "file"
    for content, found in (
        (joblib_dump({"walk": asap_motion(), "run": asap_motion()}), "ASAP pickle, 2 motions"),
        (pickle.dumps({"root_pos": 1}), ""),
        (b"1,2,3\n", ""),
        (b"", ""),
    ):
        path.write_bytes(content)
        assert FILLING.recognises(path) == found
    assert FILLING.recognises(tmp_path) == ""


def test_a_hostile_pickle_is_rejected_by_name_and_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (os.system, (f"touch {tmp_path / 'ran'}",))

    path = tmp_path / "trap.pkl"
    path.write_bytes(pickle.dumps({"walk": asap_motion() | {"fps": Trap()}}))
    for read in (FILLING.recognises, lambda file: list(FILLING.clips(file, ROBOT))):
        with pytest.raises(MotionError, match=r"trap.pkl: rejected at byte .*'posix.system'"):
            read(path)
    assert not (tmp_path / "ran").exists()


TABLES = st.sampled_from(
    [
        np.zeros((20, 23)),
        np.ones((20, 4)),
        np.zeros((0, 3)),
        np.zeros(3),
        np.full((20, 4), np.inf),
        np.zeros((20, 24, 3)),
    ]
)
VALUES = st.one_of(TABLES, st.none(), st.floats(), st.integers(), st.text(max_size=3), st.lists(st.lists(st.floats())))


@settings(max_examples=40, deadline=None, database=None)
@given(change=st.dictionaries(st.sampled_from(["root_trans_offset", "root_rot", "dof", "pose_aa", "fps"]), VALUES))
def test_any_content_is_a_clip_or_a_motion_error(tmp_path_factory, change):
    path = tmp_path_factory.getbasetemp() / "fuzzed_asap.pkl"
    path.write_bytes(pickle.dumps({"walk": asap_motion() | change}))
    try:
        list(FILLING.clips(path, ROBOT))
    except MotionError as error:
        assert "\n" not in str(error)
