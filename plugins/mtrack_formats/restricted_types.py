"""The objects that a pickle may contain: numpy arrays, dtypes and scalars, and joblib's arrays, rebuilt as data."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import attrs
import numpy as np
from numpy.typing import NDArray

_DTYPE = re.compile(r"[<>=|]?(\?|[biuf][1248]?|[SU]\d{1,4})")
_MULTIARRAY = ("numpy._core.multiarray", "numpy.core.multiarray")
_SPARSE = ("scipy.sparse.csc", "scipy.sparse._csc")
_MAX_SPARSE = 16 * 1024 * 1024
_NUMERIC = ("numpy._core.numeric", "numpy.core.numeric")


class RejectedError(Exception):
    """Content that the reader does not accept, and why; the reader adds file and position."""


@attrs.define(eq=False)
class PickledDtype:
    """A dtype; its byte order comes with its state."""

    dtype: np.dtype[np.generic]

    def build(self, state: object, file: BinaryIO) -> None:
        """Apply the byte order, the second entry of a dtype's state."""
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
        if order not in ("<", ">", "=", "|"):
            raise RejectedError("it has a dtype with an unknown byte order")
        self.dtype = self.dtype.newbyteorder(order)


@attrs.define(eq=False)
class PickledArray:
    """An array; its content comes with its state."""

    array: NDArray[np.generic] | None = None

    def build(self, state: object, file: BinaryIO) -> None:
        """Read the state of an ndarray: (version, shape, dtype, column-major, bytes)."""
        if not isinstance(state, tuple) or len(state) not in (4, 5):
            raise RejectedError("it has an array with an unknown state")
        shape, dtype, column_major, raw = state[-4:]
        self.array = _array(raw, dtype, shape, "F" if column_major else "C")


@attrs.define(eq=False)
class JoblibArray:
    """An array that joblib wrote into the pickle stream after its description."""

    array: NDArray[np.generic] | None = None

    def build(self, state: object, file: BinaryIO) -> None:
        """Read shape, dtype and order from the state, then padding and bytes from the stream."""
        if not isinstance(state, Mapping):
            raise RejectedError("it has a joblib array with an unknown state")
        dtype, shape = _dtype(state.get("dtype")), _shape(state.get("shape"))
        if state.get("numpy_array_alignment_bytes") is not None:
            file.read(int.from_bytes(file.read(1), "little"))
        size = math.prod(shape) * dtype.itemsize
        content = file.read(size)
        if len(content) < size:
            raise ValueError(f"it ends inside an array of {size:,} bytes")
        self.array = _array(content, dtype, shape, str(state.get("order")))


@attrs.define(eq=False)
class PickledSparse:
    """A sparse matrix of scipy with compressed columns; it becomes a dense array."""

    array: NDArray[np.generic] | None = None

    def build(self, state: object, file: BinaryIO) -> None:
        """Fill a dense array from the state: shape, and the three arrays of compressed columns."""
        if not isinstance(state, Mapping):
            raise RejectedError("it has a sparse matrix with an unknown state")
        shape = _shape(state.get("_shape"))
        data, rows, starts = (_built(state.get(name)) for name in ("data", "indices", "indptr"))
        if len(shape) != 2 or math.prod(shape) > _MAX_SPARSE or data.ndim != 1 or data.dtype.kind not in "biuf":
            raise RejectedError(f"it has a sparse matrix of shape {shape}, or without numbers; save it as an array")
        are_indices = starts.dtype.kind in "iu" and rows.dtype.kind in "iu"
        fits = are_indices and starts.shape == (shape[1] + 1,) and rows.shape == data.shape
        starts = starts.astype(np.int64) if fits else np.array([1, 0])
        counts = starts[1:] - starts[:-1]
        if (counts < 0).any() or counts.sum() != len(data) or (rows < 0).any() or (rows >= shape[0]).any():
            raise RejectedError("it has a sparse matrix whose parts contradict each other")
        dense = np.zeros(shape, data.dtype)
        np.add.at(dense, (rows, np.repeat(np.arange(shape[1]), counts)), data)
        self.array = dense


Pending = (PickledDtype, PickledArray, JoblibArray, PickledSparse)


def _built(value: object) -> NDArray[Any]:
    array = value.array if isinstance(value, PickledArray | JoblibArray) else value
    if not isinstance(array, np.ndarray):
        raise RejectedError("it has a sparse matrix without arrays")
    return array


def _dtype(value: object) -> np.dtype[np.generic]:
    if isinstance(value, PickledDtype):
        return value.dtype
    if isinstance(value, np.dtype):
        return value
    if not isinstance(value, str) or not _DTYPE.fullmatch(value):
        raise RejectedError(f"it has an array of type {str(value)[:40]!r}; only numbers and text are read")
    return np.dtype(value)


def _shape(value: object) -> tuple[int, ...]:
    is_shape = isinstance(value, tuple) and len(value) <= 8 and all(type(n) is int and n >= 0 for n in value)
    if not is_shape:
        raise RejectedError("it has an array with an invalid shape")
    return tuple(value)  # type: ignore[arg-type]


def _array(raw: object, dtype: object, shape: object, order: str) -> NDArray[np.generic]:
    """Return raw bytes as an array, after checking that their number matches the shape."""
    kind, sizes = _dtype(dtype), _shape(shape)
    content = raw.encode("latin-1") if isinstance(raw, str) else raw  # Python 2 pickles hold bytes as text
    if not isinstance(content, (bytes, bytearray)):
        raise RejectedError("it has an array without bytes")
    expected = math.prod(sizes) * kind.itemsize
    if len(content) != expected or order not in ("C", "F"):
        raise RejectedError(f"it has an array of {len(content):,} bytes, but its shape {sizes} needs {expected:,}")
    if kind.itemsize == 0 or expected == 0:
        return np.zeros(sizes, kind)
    flat = np.frombuffer(content, kind)
    return flat.reshape(sizes[::-1]).T if order == "F" else flat.reshape(sizes)


def _make_dtype(code: object, *_: object) -> PickledDtype:
    return PickledDtype(_dtype(code))


def _make_array(*_: object) -> PickledArray:
    return PickledArray()


def _make_joblib_array(*_: object) -> JoblibArray:
    return JoblibArray()


def _make_sparse(*_: object) -> PickledSparse:
    return PickledSparse()


def _make_scalar(dtype: object, raw: object) -> object:
    return _array(raw, dtype, (), "C")[()]


def _make_from_buffer(raw: object, dtype: object, shape: object, order: object = "C") -> PickledArray:
    return PickledArray(_array(raw, dtype, shape, str(order)))


def _make_empty_bytes() -> bytes:
    return b""


def _make_bytes(text: object, encoding: object) -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise RejectedError("it has text in an unknown encoding")
    return text.encode("latin-1")


def _make_dict(*args: object) -> dict[object, object]:
    if args:
        raise RejectedError("it has an ordered dictionary with arguments")
    return {}


def _reject_ndarray(*_: object) -> object:
    raise RejectedError("it makes an instance of numpy.ndarray directly")


MAKERS: dict[str, Callable[..., object]] = {
    "numpy.dtype": _make_dtype,
    "numpy.ndarray": _reject_ndarray,  # only ever named as an argument
    **{f"{module}._reconstruct": _make_array for module in _MULTIARRAY},
    **{f"{module}.scalar": _make_scalar for module in _MULTIARRAY},
    **{f"{module}._frombuffer": _make_from_buffer for module in _NUMERIC},
    **{f"{module}.csc_matrix": _make_sparse for module in _SPARSE},
    "_codecs.encode": _make_bytes,
    "__builtin__.bytes": _make_empty_bytes,
    "collections.OrderedDict": _make_dict,
    "joblib.numpy_pickle.NumpyArrayWrapper": _make_joblib_array,
}
"""Every name that a pickle may refer to, and its replacement here: the named object is never imported."""
