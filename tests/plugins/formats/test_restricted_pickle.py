"""The data-only reader of pickles: what is data comes through, what is code is named and never runs."""

from __future__ import annotations

import collections
import gzip
import os
import pickle
import time
import tracemalloc
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.pickles import fragment, joblib_array, joblib_dump

from mtrack.errors import MotionError
from mtrack_formats.restricted import MAX_INFLATED_BYTES, is_pickle, read_pickle

PROTOCOLS = range(2, pickle.HIGHEST_PROTOCOL + 1)
MEGABYTE = 1 << 20


@pytest.fixture
def read(tmp_path):
    def read_bytes(content: bytes) -> object:
        path = tmp_path / "file.pkl"
        path.write_bytes(content)
        return read_pickle(path)

    return read_bytes


@pytest.fixture
def refusal(read):
    def message(content: bytes) -> str:
        with pytest.raises(MotionError) as caught:
            read(content)
        assert "file.pkl" in str(caught.value)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return message


# ---- data comes through


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_come_through(read, protocol):
    value = {"a": [1, -2, 2**70, 1.5, None, True, "text", b"bytes"], "b": {"c": []}, 3: {}}
    assert read(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype=np.float32).reshape(3, 4),
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.arange(5, dtype=">i4"),
        np.zeros((0, 3)),
        np.array(["left", "right"]),
        np.array([True, False]),
        np.array(1.5),
    ],
    ids=["float32", "column-major", "big-endian", "empty", "text", "bool", "scalar"],
)
def test_arrays_come_through(read, protocol, array):
    found = read(pickle.dumps([array, array], protocol))[1]
    assert found.dtype == array.dtype
    assert np.array_equal(found, array)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_numpy_scalars_come_through(read, protocol):
    assert read(pickle.dumps({"fps": np.float64(30.0), "n": np.int64(7)}, protocol)) == {"fps": 30.0, "n": 7}


def test_an_ordered_dictionary_is_a_dictionary(read):
    assert read(pickle.dumps(collections.OrderedDict(a=1, b=2))) == {"a": 1, "b": 2}


@pytest.mark.parametrize("padded", [True, False], ids=["padded", "of old joblib"])
def test_arrays_inside_a_joblib_stream_come_through(read, padded):
    first, second = np.arange(6.0).reshape(2, 3), np.arange(4, dtype=np.int32)
    found = read(joblib_dump({"motion": {"first": first, "fps": 30, "second": second}, "last": "word"}, padded))
    assert np.array_equal(found["motion"]["first"], first)
    assert np.array_equal(found["motion"]["second"], second)
    assert found["motion"]["fps"] == 30
    assert found["last"] == "word"


def test_a_column_major_joblib_array_comes_through(read):
    array = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    assert np.array_equal(read(b"\x80\x04" + joblib_array(array, 2, "F") + b"."), array)


@pytest.mark.parametrize("compress", [zlib.compress, gzip.compress])
def test_compressed_files_come_through(read, compress, tmp_path):
    array = np.arange(6.0)
    assert np.array_equal(read(compress(joblib_dump({"a": array})))["a"], array)
    assert is_pickle(tmp_path / "file.pkl")


def test_a_cyclic_list_is_kept_cyclic(read):
    cycle: list[object] = [1]
    cycle.append(cycle)
    found = read(pickle.dumps(cycle))
    assert found[1] is found


# ---- code is named and does not run


class Calling:
    """Pickles to a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_system_call_is_refused_by_name_and_not_run(refusal, tmp_path, protocol):
    mark = tmp_path / "ran"
    message = refusal(pickle.dumps({"dof": Calling(os.system, f"touch {mark}")}, protocol))
    assert "'posix.system'" in message
    assert "nothing of it was run" in message
    assert not mark.exists()


@pytest.mark.parametrize(
    ("attack", "named"),
    [
        (Calling(eval, "1 + 1"), "eval"),
        (Calling(Path.touch, Path("/tmp/mtrack_ran")), "pathlib"),
        (Calling(getattr, "a", "upper"), "getattr"),
        (Calling(np.load, "x.npy"), "numpy.load"),
        (Calling(np.ctypeslib.load_library, "x", "y"), "numpy.ctypeslib"),
        (np.random.default_rng, "numpy.random"),
        ({1, 2}, "EMPTY_SET"),
        (object(), "object"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_everything_but_data_is_refused_by_name(refusal, attack, named):
    assert named in refusal(pickle.dumps(attack, protocol=4))
    assert not Path("/tmp/mtrack_ran").exists()


def test_code_behind_an_array_is_refused(refusal, tmp_path):
    attack = fragment("k") + b"cposix\nsystem\n" + fragment((f"touch {tmp_path / 'ran'}",)) + b"R"
    stream = b"\x80\x04}(" + fragment("a") + joblib_array(np.zeros(3), 20, padded=False) + attack + b"u."
    assert "'posix.system'" in refusal(stream)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("stream", "says"),
    [
        (b"(S'touch ran'\nios\nsystem\n.", "'os.system'"),
        (b"\x80\x02\x82\x01.", "EXT1"),
        (b"Pid\n.", "PERSID"),
        (b"\x80\x02}]\x81.", "not a function"),
        (b"\x80\x02}}(K\x01K\x02ub.", "attributes of a dict"),
        (b"\x80\x02cnumpy\nndarray\n)R.", "numpy.ndarray"),
        (b"\x80\x02K\x01K\x02a.", "as if it were a list"),
        (b"\x80\x02}]K\x01s.", "keys are not text or numbers"),
        (fragment(np.array([object()], dtype=object)[:0]).join((b"\x80\x02", b".")), "only numbers and text"),
    ],
    ids=[
        "INST",
        "EXT1",
        "PERSID",
        "NEWOBJ of a dict",
        "BUILD of a dict",
        "ndarray",
        "APPEND to 1",
        "list key",
        "objects",
    ],
)
def test_odd_instructions_are_refused(refusal, stream, says):
    assert says in refusal(stream)


# ---- nothing takes much time or memory


def peak(refusal, content: bytes) -> int:
    tracemalloc.start()
    try:
        refusal(content)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_compressed_bomb_is_refused_at_the_limit(refusal):
    assert peak(refusal, zlib.compress(bytes(4 * MAX_INFLATED_BYTES), 1)) < 2.5 * MAX_INFLATED_BYTES


@pytest.mark.parametrize(
    "stream",
    [
        b"\x80\x04\x8e" + (1 << 40).to_bytes(8, "little") + b"abc.",
        b"\x80\x05\x96" + (1 << 33).to_bytes(8, "little") + b"abc.",
        b"\x80\x04\x95" + (1 << 40).to_bytes(8, "little") + b"N.",
        b"\x80\x02Nr\xff\xff\xff\x7f.",
        b"\x80\x02" + b"]" * 1000 + b"a" * 999 + b".",
        b"\x80\x02cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81"
        + fragment({"shape": (1 << 40,), "dtype": np.dtype("f8"), "order": "C"})
        + b"b.",
    ],
    ids=["BINBYTES8", "BYTEARRAY8", "FRAME", "memo index", "nesting", "joblib shape"],
)
def test_claims_of_size_take_no_memory(read, stream):
    tracemalloc.start()
    try:
        with suppress(MotionError):
            read(stream)
    finally:
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert most < 4 * MEGABYTE


def test_a_billion_laughs_are_read_once(read):
    stream = b"\x80\x02]q\x00"
    for level in range(25):
        stream += b"](" + b"h" + bytes([level]) + b"h" + bytes([level]) + b"eq" + bytes([level + 1])
    start = time.perf_counter()
    assert len(read(stream + b".")) == 2
    assert time.perf_counter() - start < 5.0


def test_too_many_values_are_refused(refusal, monkeypatch):
    monkeypatch.setattr("mtrack_formats.restricted.MAX_OPCODES", 1000)
    assert "more than 1,000 values" in refusal(b"\x80\x02]" + b"Na" * 600 + b".")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.99])
def test_a_truncated_file_is_named(refusal, share):
    content = joblib_dump({"a": np.arange(100.0), "b": list(range(50))})
    assert "damaged or not a pickle" in refusal(content[: int(share * len(content))])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MotionError, match=r"absent\.pkl: cannot be read"):
        read_pickle(tmp_path / "absent.pkl")


VALID = joblib_dump({"motion": {"dof": np.arange(8.0), "fps": 30, "names": ["a", "b"]}})


@settings(max_examples=150, deadline=None, database=None)
@given(data=st.data())
def test_any_bytes_are_data_or_a_motion_error(tmp_path_factory, data):
    content = bytearray(VALID)
    for _ in range(data.draw(st.integers(0, 4))):
        place = data.draw(st.integers(0, len(content)))
        content[place : place + data.draw(st.integers(0, 20))] = data.draw(st.binary(max_size=20))
    path = tmp_path_factory.getbasetemp() / "fuzzed.pkl"
    path.write_bytes(content)
    try:
        read_pickle(path)
    except MotionError as error:
        assert "\n" not in str(error)
