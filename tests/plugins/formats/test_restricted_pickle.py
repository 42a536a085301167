"""The data-only reader of pickles returns all data."""

from __future__ import annotations

import collections
import gzip
import pickle
import zlib

import numpy as np
import pytest
from support.pickles import joblib_array, joblib_dump

from mtrack_formats.restricted import is_pickle

PROTOCOLS = range(2, pickle.HIGHEST_PROTOCOL + 1)


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
