"""Which slots are enabled: the last layer that names a slot enables it, unless it says `enabled = false` itself.

An empty table names a slot; the table of a group names no slot in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mtrack.api.kinds import KINDS
from mtrack.recipe.keypath import KeyPath, merge, value_at

_DEPTHS = {kind.table: kind.depth for kind in KINDS.values() if "enabled" in kind.keys}


def named_slots(data: Mapping[str, Any]) -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    """Yield path and table of each slot that can be disabled; what is not a table is left to the checks."""
    for table, depth in _DEPTHS.items():
        yield from _slots_below((table,), data.get(table), depth)


def _slots_below(path: KeyPath, value: object, depth: int) -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    if not isinstance(value, dict):
        return
    if depth == 0:
        yield path, value
        return
    for name, inner in value.items():
        yield from _slots_below((*path, name), inner, depth - 1)


def is_disabled(data: Mapping[str, Any], slot: KeyPath) -> bool:
    """Return whether tables have a slot that is not enabled."""
    return value_at(data, (*slot, "enabled")) is False


def lay_over(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `over` laid over it, and the slots that `over` names enabled unless it disables them."""
    merged = merge(base, over)
    for slot, table in named_slots(over):
        if "enabled" not in table and is_disabled(merged, slot):
            del value_at(merged, slot)["enabled"]  # a table that `merge` has just made
    return merged
