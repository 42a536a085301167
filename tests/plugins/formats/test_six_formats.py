"""One motion in six formats: each file is recognised by content, gives the same clip, and is matched by name."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from support.clips import ROBOT, SAMPLES, needs_samples, swaying_clip
from support.foreign import FORMATS, importer_of, turned, write
from support.import_faults import bodies_permuted, named_alike, off, rate_scaled, same

from mtrack import MotionError
from mtrack_formats.asap import AsapPickle
from mtrack_formats.beyondmimic_holosoma import HolosomaNpz
from mtrack_procedural.source import Procedural

NAMED = ("holosoma npz", "GentleHumanoid npz")


@pytest.fixture
def imported(tmp_path):
    def read(name, clip, fault=None, **params):
        path = write(name, clip, tmp_path, fault)
        importer = importer_of(name, **({"fps": clip.fps} if path.suffix == ".csv" else {}) | params)
        (found,) = importer.clips(path, ROBOT)
        return found

    return read


CLIPS = {
    "built-in": lambda: Procedural(motions=("squat",)).clips(ROBOT.model())[0],
    "turned": lambda: turned(swaying_clip(30), 2.0),
    "sample": lambda: next(AsapPickle(fill_missing=True).clips(SAMPLES / "asap" / "walk_level1.pkl", ROBOT)),
}


@pytest.mark.parametrize("source", ["built-in", "turned", pytest.param("sample", marks=needs_samples)])
def test_a_clip_is_the_same_motion_in_every_format(imported, source):
    clip = CLIPS[source]()
    for name in FORMATS:
        found = imported(name, clip, trust=True)  # it sways, feet and all
        assert (found.fps, found.joint_names) == (clip.fps, clip.joint_names)
        assert same(found, clip), f"{name}: {off(found, clip)}"


@pytest.mark.parametrize("name", NAMED)
def test_a_copy_with_joints_and_names_permuted_is_the_same_motion(imported, name):
    clip = swaying_clip(30)
    order = np.random.default_rng(1).permutation(29)
    plain, permuted = imported(name, clip), imported(name, clip, named_alike(order))
    assert np.array_equal(plain.joint_pos, permuted.joint_pos)
    assert plain.joint_names == permuted.joint_names == clip.joint_names


def test_bodies_permuted_with_their_names_are_the_same_motion(imported):
    def fault(content):
        bodies_permuted(range(9, -1, -1))(content)
        content["body_names"][1:11] = content["body_names"][10:0:-1].copy()

    assert same(imported("holosoma npz", swaying_clip(30), fault), swaying_clip(30))


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_is_recognised_by_content_and_by_one_importer(name, tmp_path):
    path = write(name, swaying_clip(10), tmp_path).rename(tmp_path / "file")
    found = {other: importer_of(other).recognises(path) for other in FORMATS}
    assert {FORMATS[other][0] for other, text in found.items() if text} == {FORMATS[name][0]}
    project = name.partition(" ")[0]
    assert project in found[name]


@pytest.mark.parametrize(("name", "order"), [("(Isaac)", "breadth-first"), ("(mjlab)", "depth-first")])
def test_the_order_of_unnamed_joints_and_bodies_is_found_and_logged(imported, caplog, name, order):
    with caplog.at_level(logging.INFO):
        imported(f"BeyondMimic npz {name}", swaying_clip(10))
    second = "right_hip_pitch" if order == "breadth-first" else "left_hip_roll"
    assert f"joint order: {order} (left_hip_pitch_joint, {second}_joint" in caplog.text
    assert f"body order: {order} (pelvis, left_hip_pitch_link, {second}_link" in caplog.text


def test_bodies_and_joints_may_be_in_different_orders(imported, caplog):
    def fault(content):
        content["joint_pos"] = swaying_clip(10).joint_pos
        content["joint_vel"] = np.gradient(content["joint_pos"], 0.02, axis=0)

    with caplog.at_level(logging.INFO):
        found = imported("BeyondMimic npz (Isaac)", swaying_clip(10), fault)
    assert same(found, swaying_clip(10))
    assert "joint order: depth-first" in caplog.text
    assert "body order: breadth-first" in caplog.text


@needs_samples
def test_the_sample_of_another_robot_release_is_read_and_the_difference_logged(caplog):
    path = SAMPLES / "holosoma" / "sub3_largebox_003_mj.npz"
    (clip,) = HolosomaNpz().clips(path, ROBOT)
    with np.load(path) as archive:
        assert np.abs(clip.joint_pos - archive["joint_pos"][:, 7:]).max() < 1e-6
    assert clip.fps == 50.0
    assert "another release" in caplog.text
    assert "waist_roll_link by 9.0 mm" in caplog.text


@pytest.mark.parametrize("name", FORMATS)
def test_a_given_rate_is_used_with_a_warning_unless_the_file_proves_another(imported, caplog, name):
    clip = swaying_clip(10)
    if any(text in name for text in ("Mimic", "holosoma")):
        with pytest.raises(MotionError, match=r"velocities match 50 frames per second, not 25; .*--fps"):
            imported(name, clip, fps=25.0)
        assert imported(name, clip, fps=25.0, trust=True).fps == 25.0
        assert imported(name, clip, rate_scaled(2.0), fps=50.0).fps == 50.0
    else:
        assert imported(name, clip, fps=25.0).fps == 25.0
        assert "assumed: 25 frames per second, from --fps" in caplog.text


@pytest.mark.parametrize("name", [name for name in FORMATS if "csv" not in name])
def test_a_missing_rate_is_derived_from_velocities_or_requested(imported, caplog, name):
    def fault(content):
        del content["fps"]

    if any(text in name for text in ("Mimic", "holosoma")):
        assert imported(name, swaying_clip(10), fault).fps == 50.0
        assert "its velocities match 50 frames per second" in caplog.text
    else:
        with pytest.raises(MotionError, match="has no frame rate 'fps'; give it with --fps"):
            imported(name, swaying_clip(10), fault)


def without_wrists(content):
    kept = [i for i, name in enumerate(content["joint_names"]) if "wrist" not in name]
    content["joint_names"], content["dof_pos"] = content["joint_names"][kept], content["dof_pos"][:, kept]


def test_missing_joints_are_kept_at_their_default_only_on_request(imported, caplog):
    clip = swaying_clip(10)
    still = clip.joint_pos.copy()
    wrists = [i for i, name in enumerate(clip.joint_names) if "wrist" in name]
    still[:, wrists] = 0.0
    clip = swaying_clip(10, joint_pos=still)
    with pytest.raises(MotionError, match=r"has no left_wrist_roll_joint.*--fill-missing"):
        imported("GentleHumanoid npz", clip, without_wrists)
    assert same(imported("GentleHumanoid npz", clip, without_wrists, fill_missing=True), clip)
    assert "kept at their default: left_wrist_roll_joint" in caplog.text


def test_joints_that_the_robot_lacks_are_ignored_with_a_warning(imported, caplog):
    def fault(content):
        content["joint_names"] = np.append(content["joint_names"], "left_thumb_joint")
        content["dof_pos"] = np.hstack((content["dof_pos"], content["dof_pos"][:, :1]))

    assert same(imported("GentleHumanoid npz", swaying_clip(10), fault), swaying_clip(10))
    assert "ignored joints that robot 'g1' does not have: left_thumb_joint" in caplog.text


def test_an_implausible_reading_is_rejected_with_the_better_one_and_can_be_trusted(imported):
    def fault(content):
        content["root_rot"] = content["root_rot"][:, [3, 0, 1, 2]]

    clip = turned(swaying_clip(30), 1.2)
    with pytest.raises(MotionError, match=r"its quaternion w, x, y, z: read that way, .*--trust") as caught:
        imported("GMR npz, no bodies", clip, fault)
    assert "\n" not in str(caught.value)
    assert imported("GMR npz, no bodies", clip, fault, trust=True).fps == 50.0


def test_a_file_of_another_robot_is_rejected(imported):
    def fault(content):
        content["joint_names"] = np.array([f"joint_{i}" for i in range(29)])

    with pytest.raises(MotionError, match=r"has no joint of robot 'g1', but joint_0, .*--robot"):
        imported("holosoma npz", swaying_clip(10), fault)
