"""Motion files survive writing and reading, and bad content is rejected."""

from __future__ import annotations

import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.clips import swaying_clip

from mtrack import MotionError
from mtrack_motion.clip import check_clip, content_hash
from mtrack_motion.file import read_clip, write_clip
from mtrack_testing import same_motion

MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "sway.npz"
    write_clip(path, swaying_clip(source="a test", licence="CC0"))
    return path


def altered(path: Path, target: Path, change: Callable[[dict], None]) -> Path:
    """Write a copy of a motion file with changed members, without the hash that would reveal it."""
    with np.load(path) as archive:
        members = {name: archive[name] for name in archive.files if name != "sha256"}
    change(members)
    np.savez(target, **members)
    return target


def error_of(path: Path) -> str:
    with pytest.raises(MotionError) as caught:
        read_clip(path)
    message = str(caught.value)
    assert str(path) in message and "\n" not in message
    return message


def test_a_clip_survives_writing_and_reading_bit_for_bit(written):
    assert same_motion(read_clip(written), swaying_clip(source="a test", licence="CC0"))


def test_writing_a_clip_is_deterministic(written, tmp_path):
    write_clip(tmp_path / "again.npz", read_clip(written))
    assert (tmp_path / "again.npz").read_bytes() == written.read_bytes()


def test_writing_replaces_a_file_and_leaves_no_other(tmp_path):
    path = tmp_path / "clip.npz"
    write_clip(path, swaying_clip(name="first"))
    write_clip(path, swaying_clip(name="second"))
    assert read_clip(path).name == "second"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "clip.npz"
    write_clip(path, swaying_clip(name="first"))

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(MotionError, match="No space left"):
        write_clip(path, swaying_clip(name="second"))
    assert read_clip(path).name == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_the_hash_is_of_the_motion_not_of_its_name():
    clip = swaying_clip()
    assert content_hash(clip) == content_hash(attrs.evolve(clip, name="other", source="elsewhere"))
    assert content_hash(clip) != content_hash(attrs.evolve(clip, fps=49.0))
    moved = clip.joint_pos.copy()
    moved[7, 3] += 1e-6
    assert content_hash(clip) != content_hash(attrs.evolve(clip, joint_pos=moved))


def test_a_changed_motion_under_an_old_hash_is_rejected(written, tmp_path):
    with np.load(written) as archive:
        members = dict(archive)
    members["joint_pos"] = members["joint_pos"] + np.float32(0.01)
    np.savez(tmp_path / "clip.npz", **members)
    assert "hash" in error_of(tmp_path / "clip.npz")


def set_nan(members):
    members["joint_pos"][3, 5] = np.nan


def set_infinite_root(members):
    members["root_pos"] = members["root_pos"].astype(np.float64)
    members["root_pos"][2, 1] = 1e300


def stretch_quaternion(members):
    members["root_quat_wxyz"][4] *= 1.1


def set_degrees(members):
    members["joint_pos"] += np.float32(90.0)


BAD_CONTENT = {
    "missing member": (lambda m: m.pop("fps"), "no member 'fps'"),
    "another schema": (lambda m: m.update(schema_version=np.array(2)), "schema version 2"),
    "no schema": (lambda m: m.pop("schema_version"), "which importer 'gmr' needs"),
    "fps zero": (lambda m: m.update(fps=np.array(0.0)), "fps is 0"),
    "fps NaN": (lambda m: m.update(fps=np.array(np.nan)), "fps is nan"),
    "fps is text": (lambda m: m.update(fps=np.array("30")), "'fps' is not a single number"),
    "one frame": (lambda m: m.update({k: m[k][:1] for k in ("root_pos", "root_quat_wxyz", "joint_pos")}), "1 frame"),
    "no frames": (lambda m: m.update({k: m[k][:0] for k in ("root_pos", "root_quat_wxyz", "joint_pos")}), "0 frames"),
    "fewer roots": (lambda m: m.update(root_quat_wxyz=m["root_quat_wxyz"][1:]), "root_quat_wxyz: the shape"),
    "names and columns": (lambda m: m.update(joint_names=m["joint_names"][:-1]), "joint_pos: the shape"),
    "a name twice": (lambda m: m["joint_names"].__setitem__(1, m["joint_names"][0]), "2 times"),
    "names are numbers": (lambda m: m.update(joint_names=np.arange(29)), "list of names"),
    "integers": (lambda m: m.update(joint_pos=np.zeros((40, 29), int)), "floating-point"),
    "NaN": (set_nan, "joint_pos, frame 3, left_ankle_roll_joint: the value is nan"),
    "overflow": (set_infinite_root, "root_pos, frame 2, y: the value is inf"),
    "not unit": (stretch_quaternion, "frame 4: the norm is 1.1"),
    "degrees": (set_degrees, "is it in radians?"),
    "a name of two lines": (lambda m: m.update(name=np.array("a\nb")), "not one line"),
}


@pytest.mark.parametrize(("change", "says"), BAD_CONTENT.values(), ids=BAD_CONTENT)
def test_bad_content_is_named(written, tmp_path, change, says):
    assert says in error_of(altered(written, tmp_path / "bad.npz", change))


def test_a_missing_file_is_named(tmp_path):
    assert "no such file" in error_of(tmp_path / "absent.npz")


def test_a_directory_is_not_a_motion_file(tmp_path):
    assert "is a directory" in error_of(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_named(written, tmp_path, share):
    content = written.read_bytes()
    path = tmp_path / "short.npz"
    path.write_bytes(content[: int(share * len(content))])
    assert "export it again" in error_of(path)


def test_every_flipped_bit_of_the_trajectory_is_detected(written, tmp_path):
    content = written.read_bytes()
    place = content.index(swaying_clip().joint_pos.tobytes())
    path = tmp_path / "flipped.npz"
    for bit in range(0, 8000, 997):
        flipped = bytearray(content)
        flipped[place + bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        error_of(path)


def test_objects_are_rejected_and_never_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    np.savez(tmp_path / "trap.npz", schema_version=np.array([Trap()], dtype=object))
    assert "mtrack never reads" in error_of(tmp_path / "trap.npz")
    assert not (tmp_path / "sprung").exists()


def peak_of_refusal(path: Path) -> int:
    """Return the peak memory [bytes] of rejecting a file."""
    tracemalloc.start()
    try:
        error_of(path)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def bomb(path: Path, inflated: int) -> Path:
    header = np.lib.format.header_data_from_array_1_0(np.zeros(1, np.float32)) | {"shape": (inflated // 4,)}
    archive = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
    with archive, archive.open("joint_pos.npy", "w") as member:
        np.lib.format.write_array_header_1_0(member, header)
        for _ in range(inflated // MEGABYTE):
            member.write(bytes(MEGABYTE))
    return path


def test_a_bomb_is_rejected_before_it_is_inflated(tmp_path):
    path = bomb(tmp_path / "bomb.npz", 100 * MEGABYTE)
    assert path.stat().st_size < MEGABYTE
    assert peak_of_refusal(path) < 2 * MEGABYTE


def test_a_bomb_that_lies_about_its_size_is_rejected(tmp_path):
    path = bomb(tmp_path / "bomb.npz", 100 * MEGABYTE)
    content = bytearray(path.read_bytes())
    entry = content.rindex(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = struct.pack("<I", 1000)  # the inflated size in the list of members
    path.write_bytes(content)
    assert peak_of_refusal(path) < 2 * MEGABYTE


def test_a_crowd_of_members_is_rejected_before_they_are_listed(tmp_path):
    path = tmp_path / "crowd.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(5000):
            archive.writestr(f"{number}.npy", b"")
    assert "members" in error_of(path)
    assert peak_of_refusal(path) < 2 * MEGABYTE


@settings(max_examples=60, deadline=None, database=None)
@given(data=st.data())
def test_damage_is_either_harmless_or_a_motion_error(written, tmp_path_factory, data):
    content = bytearray(written.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        length = data.draw(st.integers(0, 40))
        content[place : place + length] = data.draw(st.binary(max_size=40))
    path = tmp_path_factory.getbasetemp() / "fuzzed.npz"
    path.write_bytes(content)
    try:
        check_clip(read_clip(path), "fuzzed")
    except MotionError as error:
        assert "\n" not in str(error)


@settings(max_examples=60, deadline=None, database=None)
@given(content=st.binary(max_size=300))
def test_any_bytes_are_a_motion_error(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "bytes.npz"
    path.write_bytes(content)
    error_of(path)
