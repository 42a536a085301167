"""Read the fields of a foreign file strictly: shapes, numbers and names, or an error that names the field."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import cast

import attrs
import numpy as np
from numpy.typing import NDArray

from mtrack import MotionError

MAX_NUMBERS = 4 * 1024 * 1024
"""Limit for one table: 32 MB as float64, whatever type the file uses; 11 minutes of 30 bodies at 50 Hz."""
_MAX_DIMENSIONS = 4
_REMEDY = "export it again, or choose another --format"


@attrs.frozen(eq=False)
class Fields:
    """Values by name, and the place they come from."""

    values: Mapping[object, object] | Mapping[str, NDArray[np.generic]]
    place: str

    def has(self, *names: str) -> bool:
        """Return whether all these fields exist and are not empty."""
        return all(_is_given(self.values.get(name)) for name in names)

    def table(self, name: str, *shape: int | Sequence[int] | None) -> NDArray[np.float64]:
        """Return numbers [T, ...]; each further size is a number, one of several, or None (any). Raises MotionError."""
        value = self.values.get(name)
        table = value if isinstance(value, np.ndarray) else _from_lists(value)
        while table is not None and table.ndim > 1 + len(shape) and table.shape[-1] == 1:
            table = table[..., 0]
        if table is None or table.dtype.kind not in "iuf" or not _fits(table.shape, shape):
            found = type(value).__name__ if table is None else f"{table.dtype} {table.shape}"
            raise self.error(name, f"is {found}, expected numbers [T, {', '.join(_size(size) for size in shape)}]")
        if table.size > MAX_NUMBERS:
            raise self.error(name, f"has {table.size:,} numbers, more than {MAX_NUMBERS:,}", "split the motion")
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(table, np.float64)

    def number(self, name: str) -> float | None:
        """Return a number, which may be the only element of an array; None if missing. Raises MotionError."""
        value = self.values.get(name)
        if isinstance(value, (np.ndarray, np.generic)) and value.size == 1 and value.dtype.kind in "iuf":
            value = value.item()
        if not _is_given(value):
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > 1e300:
            raise self.error(name, "is not a single number")
        return float(value)

    def names(self, name: str) -> tuple[str, ...]:
        """Return unique names, at least one. Raises MotionError."""
        value = self.values.get(name)
        if isinstance(value, np.ndarray) and value.dtype.kind in "US" and value.ndim == 1:
            value = value.tolist()
        if not isinstance(value, (list, tuple)) or not value:
            raise self.error(name, "is not a list of names")
        names = tuple(_text(item) for item in value)
        if not all(names) or len(set(names)) < len(names):
            raise self.error(name, "has an entry that is not a name, or the same name twice")
        return names

    def error(self, name: str, what: str, remedy: str = _REMEDY) -> MotionError:
        """Return an error that names place, field and remedy."""
        return MotionError(f"{self.place}: '{name}' {what}; {remedy}")


def _is_given(value: object) -> bool:
    """Return whether a value is not None (even if numpy wrapped it) and not empty."""
    if isinstance(value, np.ndarray):
        return value.dtype.kind != "O" and value.size > 0
    return value is not None and not (isinstance(value, (list, tuple)) and not value)


def _text(item: object) -> str:
    text = item.decode("ascii", "replace") if isinstance(item, bytes) else item
    return text if isinstance(text, str) and text.isprintable() else ""


def _size(size: int | Sequence[int] | None) -> str:
    return "any" if size is None else str(size) if isinstance(size, int) else " or ".join(map(str, size))


def _fits(found: tuple[int, ...], wanted: Sequence[int | Sequence[int] | None]) -> bool:
    return len(found) == 1 + len(wanted) and all(
        size is None or have == size or (not isinstance(size, int) and have in size)
        for have, size in zip(found[1:], wanted, strict=True)
    )


def _from_lists(value: object) -> NDArray[np.float64] | None:
    """Return nested lists of numbers, of equal length per level, as an array; None if they are anything else."""
    shape: list[int] = []
    inner = value
    while isinstance(inner, list) and inner:
        shape.append(len(inner))
        inner = inner[0]
    # rows may be one list many times: a small file can claim a table that takes forever to check
    if not 2 <= len(shape) <= _MAX_DIMENSIONS or math.prod(shape) > MAX_NUMBERS:
        return None
    cells: list[object] = [value]
    for size in shape:
        if not all(isinstance(row, list) and len(row) == size for row in cells):
            return None
        cells = [cell for row in cells for cell in cast(list[object], row)]
    numbers = [cell for cell in cells if isinstance(cell, (int, float)) and not abs(cell) >= 1e300]
    return np.array(numbers, np.float64).reshape(shape) if len(numbers) == len(cells) else None
