"""Bad files of every format: one line names file, field or row, and remedy; zip bombs are harmless."""

from __future__ import annotations

import time
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from support.clips import ROBOT, swaying_clip
from support.foreign import FORMATS, importer_of, save_npz, write

from mtrack import MotionError
from mtrack.registry.registry import Registry
from mtrack_motion.importing import Choices, import_motions
from mtrack_testing import check_importer

MEGABYTE = 1 << 20
MOST_MEMORY, MOST_SECONDS = 200 * MEGABYTE, 1.0
NPZ = [name for name in FORMATS if "npz" in name]


@pytest.fixture
def error_of(tmp_path):
    def message(name, change):
        path = write(name, swaying_clip(10), tmp_path, change)
        with pytest.raises(MotionError) as caught:
            list(importer_of(name).clips(path, ROBOT))
        text = str(caught.value)
        assert text.startswith(str(path)) and "\n" not in text
        return text

    return message


def problem_of(path: Path) -> str:
    """Return the only problem that importing a file with `--format auto` reports."""
    (result,) = import_motions(Registry.scan(), path, Choices(path.parent / "out"))
    assert str(path) in result.problem and "\n" not in result.problem
    return result.problem


def set_value(field, place, value):
    def change(content):
        content[field] = np.array(content[field], np.float64)
        content[field][place] = value

    return change


BODIES, GMR = "holosoma npz", "GMR pkl"
BAD_FIELDS = {
    "no quaternions": (BODIES, lambda c: c.pop("body_quat_w"), "'body_quat_w' is NoneType, expected numbers"),
    "text for numbers": (BODIES, lambda c: c.update(joint_pos=np.array(["a"])), "'joint_pos' is <U1 (1,), expected"),
    "flat bodies": (BODIES, lambda c: c.update(body_pos_w=np.zeros((10, 108))), r"'body_pos_w' is float64 (10, 108)"),
    "fewer names": (BODIES, lambda c: c.update(joint_names=c["joint_names"][:5]), "expected numbers [T, 5 or 12]"),
    "one name twice": (
        BODIES,
        lambda c: c["joint_names"].__setitem__(1, "left_hip_pitch_joint"),
        "the same name twice",
    ),
    "no root": (BODIES, lambda c: c["body_names"].__setitem__(1, "hips"), "does not contain the root 'pelvis'"),
    "fewer frames": (BODIES, lambda c: c.update(body_quat_w=c["body_quat_w"][:9]), "has 9 frames of body quaternions"),
    "NaN in a joint": (
        BODIES,
        set_value("joint_pos", (3, 10), np.nan),
        "joint_pos, frame 3, left_knee_joint: the value",
    ),
    "NaN in a body": (
        BODIES,
        set_value("body_pos_w", (4, 2, 1), np.nan),
        "body positions, frame 4, column 2: the value",
    ),
    "not unit": (BODIES, set_value("body_quat_w", (5, 6), 0.7), "body quaternions, frame 5, body 6: the norm is 1.4"),
    "fps 0": (
        BODIES,
        lambda c: c.update(fps=np.array([0.0])),
        "its 'fps' is 0; a frame rate must be between 1",
    ),
    "fps of GMR 0": (GMR, lambda c: c.update(fps=0), "'fps' is 0; a frame rate must be between 1 and 1000"),
    "fps is text": (GMR, lambda c: c.update(fps="fast"), "'fps' is not a single number"),
    "no joints": (GMR, lambda c: c.update(dof_pos=None), "'dof_pos' is NoneType"),
    "23 joints": (GMR, lambda c: c.update(dof_pos=c["dof_pos"][:, :23]), "has 23 joints without names"),
    "degrees": (GMR, lambda c: c.update(dof_pos=90.0 + c["dof_pos"]), "the joint angles are degrees, not radians"),
    "names of bodies are numbers": (GMR, lambda c: c.update(link_body_list=[1, 2]), "'link_body_list' has an entry"),
    "31 nameless bodies": (
        "BeyondMimic npz (mjlab)",
        lambda c: c.update({n: np.repeat(c[n], 2, 1)[:, :31] for n in ("body_pos_w", "body_quat_w")}),
        "has 31 bodies without names",
    ),
}


@pytest.mark.parametrize(("name", "change", "says"), BAD_FIELDS.values(), ids=BAD_FIELDS)
def test_a_bad_field_is_named(error_of, name, change, says):
    assert says in error_of(name, change)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("share", [0.0, 0.6])
def test_an_empty_or_truncated_file_is_named(name, share, tmp_path):
    path = write(name, swaying_clip(10), tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content)) - 7] if share else b"")
    if share and path.suffix == ".csv":
        path.write_bytes(content[: content.index(b",", int(share * len(content)))])  # between two columns
    expected = "is empty" if not share else "line" if path.suffix == ".csv" else "again"
    assert expected in problem_of(path)


def test_a_csv_cut_off_in_its_last_number_loses_that_row_with_a_warning(tmp_path, caplog):
    clip = swaying_clip(10)
    path = write("Unitree csv", clip, tmp_path)
    path.write_bytes(path.read_bytes()[:-3])
    (found,) = importer_of("Unitree csv").clips(path, ROBOT)
    assert np.allclose(found.joint_pos, clip.joint_pos[:9], atol=1e-6)
    assert "ignored the last row" in caplog.text


def test_a_zip_of_other_files_is_not_a_motion(tmp_path):
    path = tmp_path / "letters.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("letter.txt", "dear reader")
    assert "is text without a table of numbers (it begins with 'dear reader')" in problem_of(path)


@pytest.mark.parametrize("name", dict.fromkeys(FORMATS[name][0] for name in FORMATS))
def test_an_importer_keeps_its_contract(name, tmp_path):
    format_ = next(key for key in FORMATS if FORMATS[key][0] == name)
    sample = write(format_, swaying_clip(10), tmp_path)
    check_importer(type(importer_of(format_)), sample)


# ---- nothing takes much time or memory


def cost(path: Path, name: str) -> str:
    """Return an importer's error for a file, after checking the time and memory it took."""
    importer = importer_of(name)

    def says() -> str:
        importer.recognises(path)
        with pytest.raises(MotionError) as caught:
            list(importer.clips(path, ROBOT))
        return str(caught.value)

    says()  # what is worked out once in a process is
    began = time.process_time()
    says()
    assert time.process_time() - began < MOST_SECONDS
    tracemalloc.start()
    try:
        message = says()
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()
    return message


def bomb(path: Path, members: dict[str, tuple[int, ...]], method: int = zipfile.ZIP_DEFLATED) -> Path:
    """Write an .npz file of zeros that is small for any number of them."""
    with zipfile.ZipFile(path, "w", method, compresslevel=1) as archive:
        for name, shape in members.items():
            header = np.lib.format.header_data_from_array_1_0(np.zeros(1, np.float32)) | {"shape": shape}
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array_header_1_0(member, header)
                left = 4 * int(np.prod(shape))
                while left:
                    left -= member.write(bytes(min(left, MEGABYTE)))
    return path


def poses(frames: int) -> dict[str, tuple[int, ...]]:
    return {"joint_pos": (frames, 29), "body_pos_w": (frames, 30, 3), "body_quat_w": (frames, 30, 4), "fps": (1,)}


def test_a_bomb_is_rejected_before_it_is_inflated(tmp_path):
    path = bomb(tmp_path / "bomb.npz", poses(150_000))
    assert path.stat().st_size < MEGABYTE
    assert "inflates to 143," in cost(path, "BeyondMimic npz (mjlab)")


def test_the_largest_inflated_file_costs_little(tmp_path):
    assert "split the motion" in cost(bomb(tmp_path / "bomb.npz", poses(60_000)), "BeyondMimic npz (mjlab)")
    assert "'fps' is 0" in cost(bomb(tmp_path / "bomb.npz", poses(34_000)), "BeyondMimic npz (mjlab)")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_method_that_inflates_a_block_at_once_is_rejected(tmp_path, method):
    path = bomb(tmp_path / "bomb.npz", poses(20_000), method)
    assert "a method numpy does not use" in problem_of(path)


def test_members_no_importer_reads_are_not_inflated(tmp_path):
    clip = swaying_clip(10)

    def change(content):
        content["contact"] = np.zeros((40 * MEGABYTE,), np.int8)
        content["thoughts"] = np.array([{}], dtype=object)

    path = write("holosoma npz", clip, tmp_path, change)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("more.npy", (tmp_path / "sway.npz").read_bytes()[:200])
    tracemalloc.start()
    try:
        (found,) = importer_of("holosoma npz").clips(path, ROBOT)
        assert tracemalloc.get_traced_memory()[1] < 10 * MEGABYTE
    finally:
        tracemalloc.stop()
    assert np.array_equal(found.joint_pos, clip.joint_pos)


def test_the_largest_csv_costs_little(tmp_path):
    path = tmp_path / "long.csv"
    path.write_text("0," * 8_000_000)
    assert "line 1: has more than 8,192 characters" in cost(path, "Unitree csv")
    path.write_text(("0," * 35 + "0\n") * 30_000)
    assert "all joint angles are 0" in cost(path, "Unitree csv")


def test_claims_of_empty_texts_are_rejected(tmp_path):
    path = write("holosoma npz", swaying_clip(10), tmp_path)
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    header = b"\x93NUMPY\x01\x00\x76\x00" + b"{'descr': '<U0', 'fortran_order': False, 'shape': (9999999999,), }"
    members["joint_names.npy"] = header.ljust(127) + b"\n"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    assert "claims 9,999,999,999 empty texts" in cost(path, "holosoma npz")


def test_a_list_that_repeats_one_list_is_not_traversed(tmp_path):
    import pickle

    row = [0.0] * 3000
    motion = {"root_pos": [row] * 3000, "root_rot": [row] * 3000, "dof_pos": [row] * 3000, "fps": 30}
    (tmp_path / "rows.pkl").write_bytes(pickle.dumps(motion))
    assert "'dof_pos' is list" in cost(tmp_path / "rows.pkl", "GMR pkl")
    (tmp_path / "names.pkl").write_bytes(pickle.dumps(dict.fromkeys(map(str, range(9999)), motion)))
    assert "one motion under several names" in cost(tmp_path / "names.pkl", "GMR pkl")


def test_members_that_are_none_count_as_missing(tmp_path):
    save_npz({"root_pos": None, "root_rot": None, "dof_pos": None}, tmp_path / "none.npz")
    with pytest.raises(MotionError, match="contains a dict, which no importer recognises"):
        list(importer_of("GMR pkl").clips(tmp_path / "none.npz", ROBOT))
