"""Compares two recipes or runs, component by component."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import attrs

from mtrack.recipe.changes import Change, describe, order_changes, value_changes
from mtrack.recipe.keypath import KeyPath, dotted
from mtrack.recipe.write import Table
from mtrack.run.compatibility import code_changes, data_changes, version_changes
from mtrack_dev.sides import SLOT_TABLES, Side

Status = Literal["added", "removed", "replaced", "changed"]


@attrs.frozen
class ValueChange:
    """One key that differs; the value is None and the origin empty on a side that lacks it."""

    path: str
    """Dotted path in the recipe."""
    key: str
    """Dotted path in its slot; for a setting the same as `path`."""
    old: Any
    new: Any
    old_origin: str
    new_origin: str


@attrs.frozen
class SlotChange:
    """One slot that differs."""

    status: Status
    kind: str
    path: str
    old: str
    """The component, e.g. `acme-rewards:upright==1.0`; empty if there is no such slot."""
    new: str
    origin: str
    """Where a slot was added or removed; of one removed by `enabled = false`, that line."""
    values: tuple[ValueChange, ...]
    """Keys that differ; all keys of a slot that was added or removed."""


@attrs.frozen
class Difference:
    """All differences."""

    settings: tuple[ValueChange, ...]
    components: tuple[SlotChange, ...]
    order: tuple[str, ...]
    """Tables whose slots are in a different order, which changes the layout of observations or the order of phases."""
    versions: tuple[Change, ...]
    """Distributions and code packages that differ, with the slots that use them."""
    data: tuple[str, ...]
    """Of two runs: differences of the data that their components read, e.g. motions."""

    @property
    def is_empty(self) -> bool:
        """Return whether there are no differences."""
        return not any(attrs.astuple(self, recurse=False))


def compare(old: Side, new: Side) -> Difference:
    """Return how `new` differs from `old`. Raises MtrackError if one is not a valid recipe."""
    return Difference(
        settings=tuple(_values((), _settings(old), _settings(new), old, new)),
        components=tuple(_components(old, new)),
        order=tuple(dotted(change.path) for change in order_changes(old.table, new.table)),
        versions=tuple(_versions(old.made_with, new.made_with)),
        data=tuple(_data(old.made_with or {}, new.made_with or {})),
    )


def _settings(side: Side) -> Table:
    return {key: value for key, value in side.table.items() if key not in SLOT_TABLES}


def _components(old: Side, new: Side) -> Iterator[SlotChange]:
    before, after = old.slots(), new.slots()
    tables = list(SLOT_TABLES)
    for path in sorted({**before, **after}, key=lambda path: tables.index(path[0])):
        kind, was = before.get(path, ("", {}))
        kind, now = after.get(path, (kind, {}))
        old_name, new_name = (side.component(path) if table else "" for side, table in ((old, was), (new, now)))
        values = tuple(_values(path, was, now, old, new))
        if not was:
            given = tuple(value for value in values if value.key not in ("use", "enabled"))
            yield SlotChange("added", kind, dotted(path), "", new_name, new.origin(path), given)
        elif not now:
            given = tuple(value for value in values if value.key not in ("use", "enabled"))
            line = new.origin((*path, "enabled")) if new.switched_off(path) else old.origin(path)
            yield SlotChange("removed", kind, dotted(path), old_name, "", line, given)
        elif not _is_same(old_name, new_name):
            others = tuple(value for value in values if value.key != "use")
            yield SlotChange("replaced", kind, dotted(path), old_name, new_name, new.origin((*path, "use")), others)
        elif values:
            yield SlotChange("changed", kind, dotted(path), old_name, new_name, "", values)


def _values(path: KeyPath, was: Table, now: Table, old: Side, new: Side) -> Iterator[ValueChange]:
    """Yield the keys that differ in the tables at a path, with their origins."""
    for inner, before, after in value_changes(was, now):
        place = (*path, *inner)
        origins = ["" if value is None else side.origin(place) for side, value in ((old, before), (new, after))]
        yield ValueChange(dotted(place), dotted(inner), before, after, *origins)


def _is_same(old: str, new: str) -> bool:
    """Return whether two names mean the same component; if a version is unknown, distributions are not compared."""
    names = [component.partition("==")[0] for component in (old, new)]
    if "==" not in old or "==" not in new:
        names = [name.rpartition(":")[2] for name in names]
    return names[0] == names[1]


def _versions(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> Iterator[Change]:
    if old is not None and new is not None:
        yield from version_changes(old, new)
        yield from code_changes(old, new)


def _data(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """Yield differences of the data that two runs read, e.g. `clips of command missing: walk; new: run`."""
    contracts = [side.get("contract", {}) for side in (old, new)]
    if all(contracts):
        yield from describe(data_changes(contracts[0]["data"], contracts[1]["data"]))
