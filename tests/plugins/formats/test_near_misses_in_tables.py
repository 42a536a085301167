"""Tables of numbers are read in every variant, or the error explains what is wrong."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile

import numpy as np
import pytest
from support.clips import ROBOT
from support.near_misses import CLIP, NAMES, ROOT, ROWS, import_as, invoke, put, text

from mtrack import MotionError
from mtrack_formats.table import read_table
from mtrack_formats.unitree import UnitreeCsv
from mtrack_motion.decompress import unpacked
from mtrack_motion.file import read_clip
from mtrack_motion.recognition import not_a_motion_file


def commas(content: str) -> str:
    return content.replace(".", ",")


TABLES: dict[str, tuple[str, bytes | str]] = {
    "semicolons": ("walk.csv", text(between=";")),
    "semicolons and decimal commas": ("walk.csv", commas(text(between=";"))),
    "tabs": ("walk.tsv", text(between="\t")),
    "tabs and decimal commas": ("walk.txt", commas(text(between="\t"))),
    "spaces": ("walk.txt", text(between="  ")),
    "spaces and decimal commas": ("walk.dat", commas(text(between=" "))),
    "commas and spaces": ("walk.csv", text(between=", ")),
    "a comma at the end of each line": ("walk.csv", text(end=",\n").replace("\n\n", "\n")),
    "quotes": ("walk.csv", '"' + text(between='","', end='"\n"').removesuffix('"')),
    "UTF-8 mark": ("walk.csv", b"\xef\xbb\xbf" + text().encode()),
    "UTF-16": ("walk.csv", text().encode("utf-16")),
    "UTF-16 without a mark": ("walk.csv", text().encode("utf-16-le")),
    "UTF-32": ("walk.csv", text().encode("utf-32")),
    "line ends of Windows": ("walk.csv", text(end="\r\n")),
    "line ends of old Macs": ("walk.csv", text(end="\r")),
    "comments": ("walk.csv", "# made by hand\n// twice\n" + text() + "# the end\n"),
    "comments in Latin-1": ("walk.csv", "# Läufer\n".encode("latin-1") + text().encode()),
    "lines before the table": ("walk.csv", "walk of a robot\nversion,2\n\n" + text()),
    "a header without meaning": ("walk.csv", text(header=",".join(f"c{i}" for i in range(36)) + "\n")),
    "minus signs of typesetters": ("walk.csv", text().replace("-", "\u2212")),
    "npy": ("walk.npy", b""),
    "gzip": ("walk.csv.gz", gzip.compress(text().encode())),
    "bzip2": ("walk.csv.bz2", bz2.compress(text().encode())),
    "xz": ("walk.csv.xz", lzma.compress(text().encode())),
    "zip": ("walk.zip", b""),
}


@pytest.mark.parametrize(("name", "content"), TABLES.values(), ids=TABLES)
def test_a_table_of_numbers_is_read_in_every_variant(tmp_path, name, content):
    if name == "walk.npy":
        np.save(buffer := io.BytesIO(), ROWS)
        content = buffer.getvalue()
    if name == "walk.zip":
        with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
            archive.writestr("walk.csv", text())
        content = buffer.getvalue()
    with unpacked(put(tmp_path, name, content)) as plain:
        assert UnitreeCsv().recognises(plain) == "Unitree csv, 36 columns"
        assert np.allclose(read_table(plain).values, ROWS, atol=1e-6)
        assert plain.stem == "walk"


@pytest.mark.parametrize("case", ["semicolons and decimal commas", "UTF-16", "xz"])
def test_a_table_is_imported_under_the_name_of_its_file(tmp_path, case):
    import_as(tmp_path, *TABLES[case])
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["walk.npz"]


def permuted(order: list[int], names: tuple[str, ...] = NAMES) -> str:
    return text(ROWS[:, order], header=",".join(names[column] for column in order) + "\n")


SHUFFLED = [int(column) for column in np.random.default_rng(3).permutation(36)]


@pytest.mark.parametrize(
    "names",
    [
        NAMES,
        tuple(name.replace("_joint", "") for name in NAMES),
        (*(f"root_pos_{a}" for a in "xyz"), *(f"root_quat_{a}" for a in "xyzw"), *map(str.upper, NAMES[7:])),
        (*(f"Base Position {a}" for a in "XYZ"), *(f"rot.{a}" for a in "xyzw"), *(f"{n} [rad]" for n in NAMES[7:])),
    ],
    ids=["as is", "short", "upper case", "with units"],
)
def test_columns_are_matched_by_header_names(tmp_path, names):
    said = import_as(tmp_path, "walk.csv", permuted(SHUFFLED, names))
    assert "the joints are matched by name" in said
    assert "assumed: the joints are in the order" not in said


def test_a_header_in_a_comment_is_used_and_extra_columns_are_ignored_with_a_warning(tmp_path):
    time = np.arange(8.0) / 60.0
    speed = np.zeros((8, 1))
    header = "# " + ",".join(("time", *NAMES, "left_knee_joint_vel")) + "\n"
    said = import_as(tmp_path, "walk.csv", text(np.hstack((time[:, None], ROWS, speed)), header=header))
    assert "ignored columns that are not part of a motion: left_knee_joint_vel" in said
    assert read_clip(tmp_path / "out" / "walk.npz").fps == pytest.approx(60.0, abs=1e-3)


def test_a_joint_missing_from_the_header_is_not_guessed(tmp_path):
    names = (*NAMES[:10], "left_nee_joint", *NAMES[11:])
    said = import_as(tmp_path, "walk.csv", permuted(list(range(36)), names), code=2)
    assert "has no left_knee_joint" in said
    assert "left_nee_joint" in said


def test_joints_in_degrees_are_converted_with_a_warning(tmp_path):
    rows = np.hstack((ROWS[:, :7], np.rad2deg(ROWS[:, 7:])))
    names = (*ROOT, *(f"{name} (deg)" for name in CLIP.joint_names))
    assert "in degrees" in import_as(tmp_path, "walk.csv", text(rows, header=",".join(names) + "\n"))


def test_the_rate_is_computed_from_a_time_column(tmp_path):
    said = import_as(tmp_path, "walk.csv", text(np.hstack((np.arange(8.0)[:, None] / 50.0, ROWS))))
    assert "50 frames per second" in said
    assert read_clip(tmp_path / "out" / "walk.npz").fps == pytest.approx(50.0, abs=1e-3)


def test_a_first_column_of_frame_numbers_is_ignored(tmp_path):
    said = import_as(tmp_path, "walk.csv", text(np.hstack((np.arange(8.0)[:, None], ROWS))))
    assert "ignored column 1: it counts the frames" in said


def test_a_table_without_wrists_is_read_when_missing_joints_are_filled(tmp_path):
    kept = [column for column, name in enumerate(NAMES) if "wrist" not in name]
    assert "--fill-missing" in import_as(tmp_path, "walk.csv", text(ROWS[:, kept]), code=2)
    invoke("import", tmp_path / "walk.csv", "-o", tmp_path / "out", "--fill-missing")


BAD_TABLES = {
    "columns": (text(ROWS[:, :20]), "has 20 columns; expected 36 (root x y z, quaternion x y z w, 29 joints)"),
    "few columns": ("1,2,3\n4,5,6\n" * 9, "has 3 columns; expected 36"),
    "one column": ("0.5\n0.25\n" * 40, "has 1 column; expected 36"),
    "rows and columns": (text(ROWS.T), "transpose"),
    "a short row": (
        text(ROWS[:4]) + text(ROWS[4:5, :30]) + text(ROWS[5:]),
        "line 5: has 30 columns, but the lines above",
    ),
    "a long row": ("# x\n" + text(ROWS[:2]) + text(ROWS)[:-1] + ",1\n", "line 11: has 37 columns, but the lines above"),
    "a word": (text().replace("0", "o", 1), "line 1, column 1: 'o."),
    "decimal commas between commas": (commas(text()), "decimal commas"),
    "no numbers": ("to be or not to be\n" * 9, "is text without a table of numbers"),
    "a web page": ("<!DOCTYPE html>\n<html><body>404</body></html>", "is a web page"),
    "a pointer": ("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n", "git lfs pull"),
}


@pytest.mark.parametrize(("content", "says"), BAD_TABLES.values(), ids=BAD_TABLES)
def test_a_table_that_cannot_be_read_is_explained(tmp_path, content, says):
    path = put(tmp_path, "walk.csv", content)
    if UnitreeCsv().recognises(path):
        with pytest.raises(MotionError) as caught:
            list(UnitreeCsv().clips(path, ROBOT))
        said = str(caught.value)
    else:
        said = not_a_motion_file(path)
    assert said.startswith(str(path))
    assert says in said
