"""Compares nested tables of values, and describes the differences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import attrs

from mtrack.api.kinds import KINDS
from mtrack.recipe.keypath import KeyPath, dotted, value_at
from mtrack.recipe.write import inline

Part = Literal["policy", "widths", "data", "values", "code", "versions"]
Triple = tuple[KeyPath, Any, Any]
"""Path, old value and new value; None if a side does not have it."""

_LONGEST_VALUE = 60  # longest value in a report, in characters
_MOST_NAMED = 50  # clips in a report
_MOST_SLOTS = 6  # slots of a package in a report


@attrs.frozen
class Change:
    """One difference between two runs, or between a run and the present recipe and installation."""

    part: Part
    path: KeyPath
    """Path in the recipe; for data the component and its name, for code the package, for versions the distribution."""
    old: Any
    new: Any
    is_order: bool = False
    """Whether the order of the slots in the table at `path` differs."""
    supplies: tuple[str, ...] = ()
    """Slots whose components come from the package or distribution."""

    def __str__(self) -> str:
        """Return the difference as one line of a report."""
        name = dotted(self.path)
        if self.part == "code":
            return f"the code of {self.path[0]} was edited{self._suppliers()}"
        if self.part == "versions":
            return f"{self.path[0]} {self.old} -> {self.new}{self._suppliers()}"
        if self.part == "widths":
            return f"{name}: {self.old} columns -> {'absent' if self.new is None else f'{self.new} columns'}"
        if self.is_order:
            return f"{name}: another order, {', '.join(self.old)} -> {', '.join(self.new)}"
        return f"{name}: {arrow(self.old, self.new)}"

    def _suppliers(self) -> str:
        more = len(self.supplies) - _MOST_SLOTS
        names = ", ".join(self.supplies[:_MOST_SLOTS]) + (f" and {more} more" if more > 0 else "")
        return f": {names}" if names else ""


def value_changes(old: Mapping[str, Any], new: Mapping[str, Any], path: KeyPath = ()) -> Iterator[Triple]:
    """Yield the values that differ; tables that both sides have are compared key by key."""
    for key in {**old, **new}:
        before, after = old.get(key), new.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from value_changes(before, after, (*path, key))
        elif before != after:
            yield (*path, key), before, after


def order_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    """Yield the tables of two recipes whose slots have another order, because sums and layouts depend on it."""
    for kind in KINDS.values():
        for depth in range(kind.depth):
            for path, table in _tables(old.get(kind.table), depth, (kind.table,)):
                other = value_at(new, path)
                if isinstance(other, Mapping):
                    before, after = _common(table, other), _common(other, table)
                    if before != after:
                        yield Change("values", path, before, after, is_order=True)


def _tables(data: object, depth: int, path: KeyPath) -> Iterator[tuple[KeyPath, Mapping[str, Any]]]:
    """Yield path and content of the tables `depth` levels below `data`; a damaged manifest may have other values."""
    if not isinstance(data, Mapping):
        return
    if depth == 0:
        yield path, data
    for key, inner in data.items() if depth else ():
        yield from _tables(inner, depth - 1, (*path, key))


def term_changes(old: Mapping[str, Any], new: Mapping[str, Any], path: KeyPath) -> Iterator[Change]:
    """Yield the differences between the terms of an observation group: slots by name, then their order.

    Nothing differs if the same terms are in the same order, even if their slots have other names.
    """
    if list(old.values()) == list(new.values()):
        return
    for triple in value_changes(old, new, path):
        yield Change("values", *triple)
    before, after = _common(old, new), _common(new, old)
    if before != after:
        yield Change("values", path, before, after, is_order=True)


def _common(table: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Return the keys that two tables have in common, in the order of the first."""
    return [key for key in table if key in other]


def describe(changes: Iterable[Change]) -> list[str]:
    """Return the lines of a report: one for each change, and one for all data of a component."""
    lines: list[str] = []
    data: dict[str, dict[str, list[str]]] = {}
    for change in changes:
        if change.part == "data":
            data.setdefault(change.path[0], {}).setdefault(_what_happened(change), []).append(".".join(change.path[1:]))
        else:
            lines.append(str(change))
    for path, kinds in data.items():
        groups = [f"{what}: {_names(kinds[what])}" for what in ("missing", "changed", "new") if what in kinds]
        lines.append(f"clips of {path} {'; '.join(groups)}")
    return lines


def _what_happened(change: Change) -> str:
    if change.new is None:
        return "missing"
    return "new" if change.old is None else "changed"


def arrow(old: Any, new: Any) -> str:
    """Return `old -> new`; for two long arrays, what was removed and added."""
    if isinstance(old, list) and isinstance(new, list) and max(len(inline(old)), len(inline(new))) > _LONGEST_VALUE:
        parts = {"without": [x for x in old if x not in new], "with": [x for x in new if x not in old]}
        differing = [f"{what} {short(items)[1:-1]}" for what, items in parts.items() if items]
        return f"{len(old)} -> {len(new)} values: {'; '.join(differing) or 'in another order'}"
    return f"{short(old)} -> {short(new)}"


def short(value: Any) -> str:
    """Return a value as recipes write it, shortened; for a slot, the name of its component."""
    if value is None:
        return "absent"
    if isinstance(value, Mapping) and "use" in value:
        return str(value["use"])
    text = f"{value:_}" if type(value) is int else inline(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."


def _names(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
