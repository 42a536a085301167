"""Two recipes or runs compared, component by component."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import attrs

from mtrack.keypath import KeyPath, dotted
from mtrack.toml_text import Table
from mtrack_dev.sides import SLOT_TABLES, Side

Status = Literal["added", "removed", "replaced", "changed"]


@attrs.frozen
class ValueChange:
    """One key that differs; None and an empty origin stand for a side that does not have it."""

    path: str
    """Dotted, within the recipe."""
    key: str
    """Within its slot; of a setting the same as `path`."""
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
    """What fills it: `acme-rewards:upright==1.0`; empty where there is no such slot."""
    new: str
    origin: str
    """Of a slot that was added or removed: where; of one removed by `enabled = false`, that line."""
    values: tuple[ValueChange, ...]
    """Keys that differ; of one that was added or removed every key."""


@attrs.frozen
class VersionChange:
    """A distribution in two versions."""

    distribution: str
    old: str
    new: str
    supplies: tuple[str, ...]
    """Slots it fills in either; empty for a library such as torch."""


@attrs.frozen
class Difference:
    """Everything that differs."""

    settings: tuple[ValueChange, ...]
    components: tuple[SlotChange, ...]
    order: tuple[str, ...]
    """Tables whose slots are in another order: of observations that is another layout, of phases another course."""
    distributions: tuple[VersionChange, ...]
    data: tuple[str, ...]
    """Of two runs: what their components read, e.g. motions, where that is not the same."""

    @property
    def is_empty(self) -> bool:
        """Whether there is none."""
        return not any(attrs.astuple(self, recurse=False))


def compare(old: Side, new: Side) -> Difference:
    """Return how `new` differs from `old`. Raises MtrackError where one is no recipe."""
    return Difference(
        settings=tuple(_values((), _settings(old), _settings(new), old, new)),
        components=tuple(_components(old, new)),
        order=tuple(_order(old, new)),
        distributions=tuple(_distributions(old.made_with, new.made_with)),
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
        had, has = (side.component(path) if table else "" for side, table in ((old, was), (new, now)))
        values = tuple(_values(path, was, now, old, new))
        if not was:
            given = tuple(value for value in values if value.key not in ("use", "enabled"))
            yield SlotChange("added", kind, dotted(path), "", has, new.origin(path), given)
        elif not now:
            given = tuple(value for value in values if value.key not in ("use", "enabled"))
            line = new.origin((*path, "enabled")) if new.switched_off(path) else old.origin(path)
            yield SlotChange("removed", kind, dotted(path), had, "", line, given)
        elif not _is_same(had, has):
            others = tuple(value for value in values if value.key != "use")
            yield SlotChange("replaced", kind, dotted(path), had, has, new.origin((*path, "use")), others)
        elif values:
            yield SlotChange("changed", kind, dotted(path), had, has, "", values)


def _values(path: KeyPath, was: Table, now: Table, old: Side, new: Side, within: KeyPath = ()) -> Iterator[ValueChange]:
    """Yield the keys that differ in the tables at a path, key by key in the tables that both have `within`."""
    for key in {**was, **now}:
        inner, before, after = (*within, key), was.get(key), now.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from _values(path, before, after, old, new, inner)
        elif before != after:
            place = (*path, *inner)
            origins = (old.origin(place) if key in was else "", new.origin(place) if key in now else "")
            yield ValueChange(dotted(place), dotted(inner), before, after, *origins)


def _is_same(old: str, new: str) -> bool:
    """Return whether two are one component; where versions are not known, nor may be the distributions."""
    names = [component.partition("==")[0] for component in (old, new)]
    if "==" not in old or "==" not in new:
        names = [name.rpartition(":")[2] for name in names]
    return names[0] == names[1]


def _order(old: Side, new: Side) -> Iterator[str]:
    before, after = list(old.slots()), list(new.slots())
    tables = dict.fromkeys(path[:-1] for path in before if len(path) > 1)
    for table in tables:
        common = [[path for path in paths if path[:-1] == table] for paths in (before, after)]
        if [path for path in common[0] if path in common[1]] != [path for path in common[1] if path in common[0]]:
            yield dotted(table)


def _distributions(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> Iterator[VersionChange]:
    if old is None or new is None:
        return
    for name in sorted(old["distributions"].keys() & new["distributions"].keys()):
        before, after = (str(side["distributions"][name]) for side in (old, new))
        if before != after:
            filled = {**new["components"], **old["components"]}
            supplies = tuple(path for path, component in filled.items() if component.startswith(f"{name}:"))
            yield VersionChange(name, before, after, supplies)


def _data(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """Yield what components of two runs read that is not the same, e.g. `command clips: without walk; with run`."""
    before, after = old.get("sources", {}), new.get("sources", {})
    for path in before.keys() & after.keys():
        for fact in sorted(before[path].keys() | after[path].keys()):
            named = [_by_name(side[path].get(fact)) for side in (before, after)]
            parts = {
                "without": [name for name in named[0] if name not in named[1]],
                "with": [name for name in named[1] if name not in named[0]],
                "other content in": [n for n, item in named[0].items() if n in named[1] and named[1][n] != item],
            }
            told = [f"{what} {', '.join(names)}" for what, names in parts.items() if names]
            if told:
                yield f"{path} {fact}: {'; '.join(told)}"


def _by_name(facts: object) -> dict[str, Any]:
    """Return the items of a list by their name; anything else as one item."""
    items = facts if isinstance(facts, list) else [facts]
    return {
        str(item["name"]) if isinstance(item, dict) and "name" in item else json.dumps(item): item for item in items
    }
