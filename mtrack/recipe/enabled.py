"""Determines which slots are enabled: the last layer that names a slot enables it, unless it has `enabled = false`.

An empty table names a slot. The table of a group does not name the slots in it. The `until` of a phase, and `best` of
`[run]`, are enabled in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mtrack.api.kinds import KINDS
from mtrack.recipe.keypath import KeyPath, merge, value_at

_DEPTHS = {kind.table: kind.depth for kind in KINDS.values() if "enabled" in kind.keys}


def named_slots(data: Mapping[str, Any]) -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    """Yield path and table of each slot that can be disabled; values that are not tables are skipped."""
    for table, depth in _DEPTHS.items():
        yield from _slots_below((table,), data.get(table), depth)
    for path, phase in _slots_below(("phases",), data.get("phases"), 1):
        if isinstance(phase.get("until"), dict):
            yield (*path, "until"), phase["until"]
    for path, run in _slots_below(("run",), data.get("run"), 0):
        if isinstance(run.get("best"), dict):
            yield (*path, "best"), run["best"]


def _slots_below(path: KeyPath, value: object, depth: int) -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    if not isinstance(value, dict):
        return
    if depth == 0:
        yield path, value
        return
    for name, inner in value.items():
        yield from _slots_below((*path, name), inner, depth - 1)


def is_disabled(data: Mapping[str, Any], slot: KeyPath) -> bool:
    """Return whether a slot has `enabled = false`."""
    return value_at(data, (*slot, "enabled")) is False


def lay_over(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge `over` into `base`, and enable the slots that `over` names, unless it disables them itself."""
    merged = merge(base, over)
    for slot, table in named_slots(over):
        if "enabled" not in table and is_disabled(merged, slot):
            del value_at(merged, slot)["enabled"]  # a table that `merge` has just created
    return merged
