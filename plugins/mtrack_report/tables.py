"""Tables of the report: wide ones scroll in their own box, and a script sorts them by a click on a heading."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import attrs
from markupsafe import Markup

from mtrack_report.markup import Child, joined, tag


@attrs.frozen
class Cell:
    """A cell that is sorted by a number."""

    shown: Child
    value: float
    """NaN is sorted last."""
    style: str = ""
    """CSS class."""


Row = list[Child | Cell]


def table(head: Sequence[str], rows: Iterable[Row], *, sortable: bool = False) -> Markup:
    """Return a table; a column is set as numbers if the first row has a `Cell` there."""
    rows = list(rows)
    is_number = [isinstance(cell, Cell) for cell in rows[0]] if rows else [False] * len(head)
    headings = (
        tag("th", title, scope="col", class_="number" if number else None)
        for title, number in zip(head, is_number, strict=True)
    )
    body = (tag("tr", (_cell(cell) for cell in row)) for row in rows)
    whole = tag("table", tag("thead", tag("tr", headings)), tag("tbody", body), class_="sortable" if sortable else None)
    return tag("div", whole, class_="scroll", tabindex="0")


def facts(pairs: Iterable[tuple[str, Child]]) -> Markup:
    """Return a list of names and values."""
    return tag("dl", (joined(tag("dt", name), tag("dd", value)) for name, value in pairs))


def _cell(cell: Child | Cell) -> Markup:
    if not isinstance(cell, Cell):
        return tag("td", cell)
    value = f"{cell.value:.6g}" if math.isfinite(cell.value) else ""
    return tag("td", cell.shown, class_=f"number {cell.style}".strip(), data_value=value)
