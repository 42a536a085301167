"""The importer `unitree_csv`: checks every cell strictly, and warns about what the file does not state."""

from __future__ import annotations

import gzip
import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.clips import ROBOT, swaying_clip

from mtrack import MotionError
from mtrack_formats.joint_orders import G1_29
from mtrack_formats.unitree import UnitreeCsv


def rows(frames: int = 5) -> list[list[str]]:
    clip = swaying_clip(frames)
    table = np.concatenate((clip.root_pos, clip.root_quat_wxyz[:, [1, 2, 3, 0]], clip.joint_pos), axis=1)
    return [[f"{value:.9g}" for value in row] for row in table]


def text(cells: list[list[str]]) -> str:
    return "".join(",".join(row) + "\n" for row in cells)


@pytest.fixture
def clip_of(tmp_path):
    def read(content: str | bytes, **params):
        path = tmp_path / "walk1.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        (clip,) = UnitreeCsv(**params).clips(path, ROBOT)
        return clip

    return read


@pytest.fixture
def error_of(clip_of):
    def message(content: str | bytes) -> str:
        with pytest.raises(MotionError) as caught:
            clip_of(content)
        assert "walk1.csv" in str(caught.value)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return message


def test_columns_are_root_quaternion_and_joints(clip_of):
    clip, expected = clip_of(text(rows())), swaying_clip(5)
    assert (clip.name, clip.joint_names) == ("walk1", G1_29)
    for name in ("root_pos", "root_quat_wxyz", "joint_pos"):
        assert np.allclose(getattr(clip, name), getattr(expected, name), atol=1e-7), name


def test_the_rate_is_assumed_with_a_warning(clip_of, caplog):
    assert clip_of(text(rows())).fps == 30.0
    assert "assumed: 30 frames per second" in caplog.text


def test_a_given_rate_is_used_with_a_warning(clip_of, caplog):
    assert clip_of(text(rows()), fps=120.0).fps == 120.0
    assert "assumed: 120 frames per second, from --fps" in caplog.text


def test_the_column_order_is_logged(clip_of, caplog):
    with caplog.at_level(logging.INFO):
        clip_of(text(rows()))
    assert "the root quaternion is x, y, z, w" in caplog.text
    assert "the joints are in the order left_hip_pitch_joint, left_hip_roll_joint" in caplog.text


def with_cell(row: int, column: int, value: str) -> str:
    cells = rows()
    cells[row][column] = value
    return text(cells)


def test_a_bad_cell_is_named_by_row_and_column(error_of):
    message = error_of(with_cell(2, 9, "abc"))
    assert "line 3, column 10" in message
    assert "'abc'" in message


@pytest.mark.parametrize("value", ["", "1.2.3", "0x10", "1e", "NA"])
def test_a_cell_that_is_not_a_number_is_named(error_of, value):
    assert "line 2" in error_of(with_cell(1, 4, value))


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e400", "1e39"])
def test_a_cell_that_is_not_finite_is_named(error_of, value):
    assert "frame 3, left_hip_roll_joint: the value is" in error_of(with_cell(3, 8, value))


def test_a_short_row_is_named(error_of):
    cells = rows()
    cells[3] = cells[3][:-1]
    assert "line 4" in error_of(text(cells))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        (text(rows(1)), "it has 1 frame"),
        (text([row[:33] for row in rows()]), "has 33 columns; expected 36"),
        (b"\xff\xfe\x00", "not a text file"),
    ],
    ids=["empty", "blank", "one row", "33 columns", "bytes"],
)
def test_a_bad_file_is_named_with_a_remedy(error_of, content, says):
    assert says in error_of(content)


def test_an_invalid_quaternion_is_named(error_of):
    assert "root_quat_wxyz, frame 1: the norm is" in error_of(with_cell(1, 6, "3.0"))


def test_a_quaternion_written_w_first_is_rejected(error_of):
    cells = [[*row[:3], row[6], *row[3:6], *row[7:]] for row in rows()]
    assert "its quaternion w, x, y, z: read that way" in error_of(text(cells))


def test_a_compressed_file_is_inflated_before_an_importer_sees_it(tmp_path):
    path = tmp_path / "walk.csv.gz"
    path.write_bytes(gzip.compress(text(rows()).encode()))
    with pytest.raises(MotionError, match="not a text file"):
        list(UnitreeCsv().clips(path, ROBOT))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MotionError, match=r"absent\.csv: cannot be read"):
        list(UnitreeCsv().clips(tmp_path / "absent.csv", ROBOT))


def test_any_table_of_numbers_is_recognised_so_that_reading_reports_what_is_wrong(tmp_path):
    path = tmp_path / "file"
    for content, is_one in (
        (text(rows()), True),
        (text([row[:30] for row in rows()]), True),
        (with_cell(0, 6, "3.0"), True),
        ("a,b,c\n" + text(rows()), True),
        ("time,x,y\n1,2,3\n", True),
        ("a walk of 3 m\n12 monkeys\n", False),
        ("\x80\x04", False),
        ("", False),
        ("1," * 9000, True),
    ):
        path.write_text(content)
        assert bool(UnitreeCsv().recognises(path)) == is_one
    assert UnitreeCsv().recognises(tmp_path) == ""


CELLS = st.one_of(st.sampled_from(["", "nan", "1e999", "-1", "0", "x", " ", "\n", ",", "\u00e9"]), st.text(max_size=3))


@settings(max_examples=80, deadline=None, database=None)
@given(changes=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 35), CELLS), max_size=4), cut=st.integers(0, 9999))
def test_any_text_is_a_clip_or_a_motion_error(tmp_path_factory, changes, cut):
    cells = rows()
    for row, column, value in changes:
        cells[row][column] = value
    path = tmp_path_factory.getbasetemp() / "fuzzed.csv"
    path.write_text(text(cells)[: max(0, cut - 1000) or None], encoding="utf-8")
    try:
        (clip,) = UnitreeCsv().clips(path, ROBOT)
        assert np.isfinite(clip.joint_pos).all()
    except MotionError as error:
        assert "\n" not in str(error)
