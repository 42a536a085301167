"""No pickle takes much time or memory, and damaged ones are named."""

from __future__ import annotations

import time
import tracemalloc
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.pickles import fragment, joblib_dump

from mtrack import MotionError
from mtrack_formats.restricted import read_pickle
from mtrack_motion.decompress import MAX_INFLATED_BYTES

MEGABYTE = 1 << 20


def peak(rejection, content: bytes) -> int:
    tracemalloc.start()
    try:
        rejection(content)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_compressed_bomb_is_rejected_at_the_limit(rejection):
    assert peak(rejection, zlib.compress(bytes(4 * MAX_INFLATED_BYTES), 1)) < 2.5 * MAX_INFLATED_BYTES


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


def test_shared_containers_are_read_once(read):
    stream = b"\x80\x02]q\x00"
    for level in range(25):
        stream += b"](" + b"h" + bytes([level]) + b"h" + bytes([level]) + b"eq" + bytes([level + 1])
    start = time.perf_counter()
    assert len(read(stream + b".")) == 2
    assert time.perf_counter() - start < 5.0


def test_too_many_values_are_rejected(rejection, monkeypatch):
    monkeypatch.setattr("mtrack_formats.restricted.MAX_OPCODES", 1000)
    assert "more than 1,000 values" in rejection(b"\x80\x02]" + b"Na" * 600 + b".")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.99])
def test_a_truncated_file_is_named(rejection, share):
    content = joblib_dump({"a": np.arange(100.0), "b": list(range(50))})
    assert "damaged or not a pickle" in rejection(content[: int(share * len(content))])


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
