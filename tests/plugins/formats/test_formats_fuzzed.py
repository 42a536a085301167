"""For any file content, an importer reads a valid clip or raises MotionError, quickly and in little memory."""

from __future__ import annotations

import os
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.clips import ROBOT, swaying_clip
from support.foreign import FORMATS, importer_of, write

from mtrack import Clip, MotionError
from mtrack_motion.clip import check_clip

FRAMES = 5
MOST_MEMORY, MOST_SECONDS = 100 << 20, 5.0
EXAMPLES = int(os.environ.get("MTRACK_FUZZ_EXAMPLES", "12"))
QUICK = settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
FIELDS = (
    *("fps", "rows", "joint_pos", "joint_vel", "body_pos_w", "body_quat_w", "joint_names", "body_names"),
    *("root_pos", "root_rot", "dof_pos", "local_body_pos", "local_body_rot", "link_body_list"),
    *("root_trans_offset", "dof", "pose_aa"),
)
NUMBERS = st.sampled_from([0.0, 1.0, -1.0, 1e-300, 1e18, 1e300, np.nan, np.inf, -np.inf, 0.7071067811865476])
VALUES = st.one_of(
    st.none(),
    NUMBERS,
    st.text(max_size=3),
    st.lists(st.one_of(st.text(max_size=2), st.integers(-1, 2)), max_size=3),
    st.builds(np.full, st.sampled_from([(), (0,), (5,), (5, 0), (5, 4), (5, 29), (5, 30, 3), (2, 2, 2, 2)]), NUMBERS),
    st.sampled_from([np.zeros((FRAMES, 3), np.int8), np.array(["a", "b"]), np.zeros((FRAMES, 29), bool)]),
)
EDITS = st.lists(
    st.one_of(
        st.tuples(st.just("replace"), st.sampled_from(FIELDS), VALUES),
        st.tuples(st.just("drop"), st.sampled_from(FIELDS), st.none()),
        st.tuples(st.just("set"), st.sampled_from(FIELDS), st.tuples(st.integers(0, 10**6), NUMBERS)),
        st.tuples(st.just("cut"), st.sampled_from(FIELDS), st.integers(0, FRAMES)),
        st.tuples(st.just("cast"), st.sampled_from(FIELDS), st.sampled_from(["f2", "f4", "i1", "f8", "S3", "U2", "?"])),
    ),
    min_size=1,
    max_size=3,
)


def sound_or_explained(name: str, path: Path) -> None:
    """Import a file; a clip must be valid, and an error must be one line that starts with the file."""
    importer = importer_of(name)
    tracemalloc.start()
    began = time.process_time()
    try:
        importer.recognises(path)
        for clip in importer.clips(path, ROBOT):
            assert isinstance(clip, Clip)
            assert clip.joint_names == ROBOT.model().joint_names
            check_clip(clip, "fuzzed")
    except MotionError as error:
        assert str(error).startswith(str(path))
        assert str(error).isprintable()
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < MOST_MEMORY
    assert time.process_time() - began < MOST_SECONDS


def edited(content: dict, edits: list) -> None:
    for what, field, value in edits:
        if field not in content:
            continue
        with np.errstate(all="ignore"):
            if what == "replace":
                content[field] = value
            elif what == "drop":
                del content[field]
            elif isinstance(content[field], np.ndarray) and content[field].size and content[field].dtype.kind == "f":
                array = np.array(content[field])
                if what == "set":
                    array.reshape(-1)[value[0] % array.size] = value[1]
                elif what == "cut":
                    array = array[:value] if array.ndim else array
                else:
                    array = np.nan_to_num(array).clip(-100, 100).astype(value)
                content[field] = array


@pytest.mark.parametrize("name", FORMATS)
@QUICK
@given(edits=EDITS)
def test_any_fields_are_a_clip_or_explained(tmp_path_factory, name, edits):
    folder = tmp_path_factory.getbasetemp()
    try:
        path = write(name, swaying_clip(FRAMES, name="fields"), folder, lambda content: edited(content, edits))
    except (TypeError, ValueError, KeyError, AttributeError, np.exceptions.AxisError):
        return  # a table that savetxt cannot write as text, which no file can hold then
    sound_or_explained(name, path)


@pytest.mark.parametrize("name", FORMATS)
@QUICK
@given(data=st.data())
def test_any_damage_is_harmless_or_explained(tmp_path_factory, name, data):
    path = write(name, swaying_clip(FRAMES, name="damaged"), tmp_path_factory.getbasetemp())
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place : place + data.draw(st.integers(0, 30))] = data.draw(st.binary(max_size=30))
    path.write_bytes(content[: data.draw(st.integers(0, 2 * len(content)))])
    sound_or_explained(name, path)


@pytest.mark.parametrize("name", dict.fromkeys(FORMATS))
@QUICK
@given(content=st.binary(max_size=200), head=st.sampled_from([b"", b"PK\x03\x04", b"\x80\x04}", b"0,", b"\x78\x9c"]))
def test_any_bytes_are_explained(tmp_path_factory, name, content, head):
    path = tmp_path_factory.getbasetemp() / "bytes"
    path.write_bytes(head + content)
    sound_or_explained(name, path)
