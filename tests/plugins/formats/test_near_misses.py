"""Motions in pickles and JSON are read in every variant; unusable files are named with a remedy."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import pickle
import zipfile
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from support.clips import ROBOT, swaying_clip
from support.foreign import gmr
from support.import_faults import same
from support.near_misses import CLIP, ROWS, import_as, invoke, put, text
from support.pickles import asap_motion, joblib_dump

from mtrack_formats.asap import AsapPickle
from mtrack_formats.gmr_gentlehumanoid import Gmr
from mtrack_motion.decompress import unpacked
from mtrack_motion.file import read_clip, write_clip
from mtrack_motion.packing import pack_for
from mtrack_motion.recognition import not_a_motion_file

# ---- pickles and JSON


def asap() -> dict[str, object]:
    from support.foreign import asap as asap_of

    return asap_of(CLIP)


PICKLES: dict[str, Callable[[], tuple[str, bytes]]] = {
    **{f"protocol {p}": lambda p=p: ("walk.pkl", pickle.dumps({"a": asap()}, p)) for p in range(6)},
    "a list": lambda: ("walk.pkl", pickle.dumps([asap()])),
    "a list, protocol 0": lambda: ("walk.pkl", pickle.dumps([asap()], 0)),
    "below a key": lambda: ("walk.pkl", pickle.dumps({"version": 1, "motions": {"a": asap()}})),
    "joblib": lambda: ("walk.joblib", joblib_dump({"a": asap()})),
    "joblib, zlib": lambda: ("walk.pkl", zlib.compress(joblib_dump({"a": asap()}))),
    "joblib, bz2": lambda: ("walk.pkl", bz2.compress(joblib_dump({"a": asap()}))),
    "joblib, xz": lambda: ("walk.pkl", lzma.compress(joblib_dump({"a": asap()}))),
    "joblib, lzma": lambda: ("walk.pkl", lzma.compress(joblib_dump({"a": asap()}), lzma.FORMAT_ALONE)),
    "GMR": lambda: ("walk.pkl", pickle.dumps(gmr(CLIP), 1)),
    "JSON": lambda: ("walk.json", json.dumps({k: np.asarray(v).tolist() for k, v in gmr(CLIP).items()}).encode()),
}


@pytest.mark.parametrize("make", PICKLES.values(), ids=PICKLES)
def test_a_motion_in_a_pickle_is_read_in_every_variant(tmp_path, make):
    with unpacked(put(tmp_path, *make())) as plain:
        importer = AsapPickle() if AsapPickle().recognises(plain) else Gmr()
        assert importer.recognises(plain).endswith("pickle, 1 motion")
        (found,) = importer.clips(plain, ROBOT)
    assert found.name == "walk"
    assert same(found, CLIP)


def test_motions_of_a_list_are_numbered_and_reported_one_by_one(tmp_path):
    bad = asap_motion()
    bad["dof"] = bad["dof"][:-1]
    content = pickle.dumps([asap_motion(), bad, asap_motion(30)])
    said = import_as(tmp_path, "walks.pkl", content, "--fill-missing", code=2)
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["walks_0.npz", "walks_2.npz"]
    assert "motion 'walks_1'" in said


# ---- what cannot be used


def npz(**arrays: object) -> bytes:
    np.savez(buffer := io.BytesIO(), **{name: np.asarray(value) for name, value in arrays.items()})
    return buffer.getvalue()


def torch_file() -> bytes:
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))
        archive.writestr("archive/version", "3\n")
    return buffer.getvalue()


def sheet() -> bytes:
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return buffer.getvalue()


def nameless() -> bytes:
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
        archive.writestr("NAME", text())
    return buffer.getvalue().replace(b"NAME", bytes(4))  # a name ends at its first zero


def several() -> bytes:
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
        for name in ("a.csv", "b.csv"):
            archive.writestr(name, text())
    return buffer.getvalue()


RETARGET = ("a person's skeleton", "mtrack motions retarget FILE -o DIR")
EXPORT = ("a person's skeleton", "cannot read", "export it as BVH")
EXPLAINED: dict[str, tuple[str, bytes, tuple[str, ...]]] = {
    "BVH": ("a.bvh", b"HIERARCHY\nROOT Hips\n{\n OFFSET 0 0 0\n}\nMOTION\nFrames: 2\n", ("is a BVH file", *RETARGET)),
    "BVH, renamed": ("a.txt", b"\r\nhierarchy\r\nROOT Hips\r\n", ("is a BVH file", *RETARGET)),
    "BVH with frames": ("a.bvh", b"HIERARCHY\nROOT Hips\nMOTION\nFrames: 9\n" + b"0 90 0 0 0 0 0 0 0\n" * 9,
                        ("is a BVH file", *RETARGET)),
    "TRC": ("a.trc", b"PathFileType\t4\t(X/Y/Z)\ta.trc\nDataRate\n60\n" + b"1\t0.0\t1\t2\t3\t4\t5\t6\t7\n" * 9,
            ("is a TRC file", *EXPORT)),
    "FBX": ("a.fbx", b"Kaydara FBX Binary  \x00\x1a\x00", ("is an FBX file", *EXPORT)),
    "C3D": ("a.c3d", b"\x02\x50" + bytes(510), ("is a C3D file", *EXPORT)),
    "AMASS": ("a.npz", npz(poses=np.zeros((5, 156)), trans=np.zeros((5, 3)), betas=np.zeros(16), gender="male"),
              ("SMPL parameters, 5 frames, 52 joints", *RETARGET)),
    "SMPL-X": ("a.npz", npz(body_pose=np.zeros((5, 63)), global_orient=np.zeros((5, 3)), transl=np.zeros((5, 3))),
               ("SMPL", *RETARGET)),
    "positions of joints": ("a.npz", npz(positions=np.zeros((5, 22, 3)), fps=30.0), ("joint positions", *RETARGET)),
    "SMPL pickle": ("a.pkl", pickle.dumps({"smpl_poses": np.zeros((5, 72)), "smpl_trans": np.zeros((5, 3))}),
                    ("SMPL", "`mtrack motions retarget` reads them from .npz")),
    "video": ("a.mp4", b"\x00\x00\x00\x20ftypisom" + bytes(20), ("is a video", "retarget")),
    "picture": ("a.png", b"\x89PNG\r\n\x1a\n" + bytes(9), ("is a picture",)),
    "Excel": ("a.xlsx", sheet(), ("is an Excel workbook", ".csv")),
    "Parquet": ("a.parquet", b"PAR1" + bytes(20) + b"PAR1", ("is a Parquet file", ".csv")),
    "HDF5": ("a.h5", b"\x89HDF\r\n\x1a\n" + bytes(20), ("is an HDF5 file", "np.savez")),
    "MATLAB": ("a.mat", b"MATLAB 5.0 MAT-file, Platform: GLNXA64" + bytes(90), ("is a MATLAB file", "np.savez")),
    "PyTorch": ("a.pt", torch_file(), ("is a PyTorch file", "GVHMR", "weights_only=True", "np.savez")),
    "zstd": ("a.csv.zst", b"\x28\xb5\x2f\xfd" + bytes(9), ("zstd -d",)),
    "lz4": ("a.pkl.lz4", b"\x04\x22\x4d\x18" + bytes(9), ("lz4 -d",)),
    "7z": ("a.7z", b"7z\xbc\xaf\x27\x1c" + bytes(9), ("unpack it",)),
    "zip of several": ("a.zip", several(), ("2 files (a.csv, b.csv)", "unpack it")),
    "gzip of something else": ("a.bvh.gz", gzip.compress(b"HIERARCHY\nROOT Hips\n"), ("is a BVH file", *RETARGET)),
    "gzip, truncated": ("a.csv.gz", gzip.compress(text().encode())[:200], ("ends early", "again")),
    "robot": ("a.xml", b"<?xml version='1.0'?>\n<mujoco model='g1'></mujoco>", ("describes a robot",)),
    "near GMR": ("a.npz", npz(fps=30, root_pos=ROWS[:, :3], dof_pos=ROWS[:, 7:]), ("root_rot", "gmr")),
    "unknown arrays": ("a.npz", npz(foo=np.zeros((5, 2)), bar=np.zeros(3)), ("foo (5, 2), bar (3,)", "np.savez")),
    "unknown pickle": ("a.pkl", pickle.dumps({"foo": np.zeros((5, 2))}), ("foo (5, 2)", "np.savez")),
    "unknown npy": ("a.npy", b"", ("has 5 columns; expected 36",)),
    "empty": ("a.bin", b"", ("is empty",)),
    "noise": ("a.bin", bytes(range(256)), ("no importer recognises it",)),
}  # fmt: skip


def made(name: str, content: bytes) -> bytes:
    if name == "a.npy":
        np.save(buffer := io.BytesIO(), np.zeros((9, 5)))
        return buffer.getvalue()
    return content


@pytest.mark.parametrize(("name", "content", "says"), EXPLAINED.values(), ids=EXPLAINED)
def test_an_unusable_file_is_explained_with_the_next_step(tmp_path, name, content, says):
    path = put(tmp_path, name, made(name, content))
    said = not_a_motion_file(path)
    if name == "a.npy":
        assert f"mtrack motions import {path} -o DIR" in said  # an importer reads it, and says what is wrong
        return
    assert said.startswith(f"{path}: ")
    assert "\n" not in said
    for words in says:
        assert words in said


def test_the_only_file_of_a_zip_may_lack_a_name(tmp_path):
    put(tmp_path, "a.zip", nameless())
    invoke("import", tmp_path / "a.zip", "-o", tmp_path / "out")
    assert len(list((tmp_path / "out").glob("*.npz"))) == 1


def test_an_import_gives_the_same_explanation_for_each_file_and_fails(tmp_path):
    cases = dict(enumerate(EXPLAINED.values()))
    for number, (name, content, _) in cases.items():
        (tmp_path / str(number)).mkdir()
        put(tmp_path / str(number), name, made(name, content))
    _, said = invoke("import", tmp_path, "-o", tmp_path / "out", code=2)
    lines = said.splitlines()
    for number, (name, _, says) in cases.items():
        (line,) = [line for line in lines if str(tmp_path / str(number) / name) in line]
        if name in ("a.mp4", "a.png", "a.xml"):
            assert "skipped: is" in line
        else:
            assert line.startswith("error: ")
            assert all(words in line for words in says)


def test_a_bomb_of_each_kind_is_rejected(tmp_path, monkeypatch):
    monkeypatch.setattr("mtrack_motion.decompress.MAX_INFLATED_BYTES", 1 << 20)
    for compress, suffix in ((gzip.compress, "gz"), (bz2.compress, "bz2"), (lzma.compress, "xz")):
        said = import_as(tmp_path, f"bomb.csv.{suffix}", compress(bytes(2 << 20)), code=2)
        assert "inflates to more than 1,048,576 bytes" in said


def test_log_messages_about_a_compressed_file_do_not_name_the_temporary_directory(tmp_path):
    odd = text(np.hstack((ROWS[:, :3], ROWS[:, [6, 3, 4, 5]], ROWS[:, 7:])))
    said = import_as(tmp_path, "walk.csv.gz", gzip.compress(odd.encode()), code=2)
    assert f"error: {tmp_path / 'walk.csv.gz'} (frame 0 is line 1)" in said
    _, said = invoke("import", tmp_path / "walk.csv.gz", "-o", tmp_path / "out", "--trust", code=2)
    assert "walk.csv (frame 0 is line 1)" in said
    assert "mtrack-import" not in said


def test_a_wrong_format_option_is_mentioned_in_the_error(tmp_path):
    (tmp_path / "walk.csv").write_text(text())
    _, said = invoke("import", tmp_path / "walk.csv", "-o", tmp_path / "out", "--format", "gmr", code=2)
    assert "importer 'gmr' does not recognise this file; try without --format" in said


# ---- motion files, and the commands that need them


def test_a_motion_file_and_the_clips_of_a_packed_file_are_copied(tmp_path):
    write_clip(tmp_path / "walk.npz", CLIP)
    pack_for(tmp_path / "walk.npz", tmp_path / "walk.pack", "g1", 1.0 / 30.0, ())
    for name in ("walk.npz", "walk.pack"):
        said = import_as(tmp_path, name, (tmp_path / name).read_bytes(), "--overwrite")
        assert "motion_file: " in said


def test_missing_joints_of_a_motion_file_are_filled_as_the_error_suggests(tmp_path):
    part = swaying_clip(8, joint_names=CLIP.joint_names[2:], joint_pos=CLIP.joint_pos[:, 2:])
    write_clip(tmp_path / "part.npz", part)
    _, said = invoke("import", tmp_path / "part.npz", "-o", tmp_path / "out", code=2)
    assert "import it with --fill-missing" in said
    invoke("import", tmp_path / "part.npz", "-o", tmp_path / "out", "--fill-missing")
    assert {*read_clip(tmp_path / "out" / "sway.npz").joint_names} == {*CLIP.joint_names}


@pytest.mark.parametrize("command", ["info", "view", "check", "pack"])
def test_a_foreign_file_is_recognised_by_commands_that_need_a_motion_file(tmp_path, command):
    (tmp_path / "my walk.csv").write_text(text(between=";"))
    more = ("-o", tmp_path / "a.pack") if command == "pack" else ()
    out, said = invoke(command, tmp_path / "my walk.csv", *more, code=2)
    assert f"mtrack motions import '{tmp_path / 'my walk.csv'}' -o DIR" in " ".join((out + said).split())
    (tmp_path / "a.bvh").write_text("HIERARCHY\nROOT Hips\n")
    out, said = invoke(command, tmp_path / "a.bvh", *more, code=2)
    assert "is a BVH file" in " ".join((out + said).split())
    assert "motions import" not in out + said


def test_a_directory_of_foreign_files_is_recognised_by_commands_that_need_motion_files(tmp_path):
    (tmp_path / "walk.csv").write_text(text())
    _, said = invoke("info", tmp_path, code=2)
    assert "1 .csv" in said
    assert f"mtrack motions import {tmp_path} -o" in said
