"""Applies the changes of a phase, its `set`, to a recipe, as if they were another file."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from typing import Any

import attrs

from mtrack.api.kinds import KINDS
from mtrack.errors import MtrackError, did_you_mean
from mtrack.recipe.enabled import is_disabled, named_slots
from mtrack.recipe.keypath import KeyPath, merge, nested, split_path, value_at
from mtrack.recipe.source import Layer, RecipeSource

_DEPTHS = {kind.table: kind.depth for kind in KINDS.values()}
_SAME_IN_ALL_PHASES = frozenset({"seed", "device", "run", "agent", "phases", "loggers"})


def in_phase(source: RecipeSource, name: str) -> RecipeSource:
    """Return the source with the `set` of a phase applied, except for keys that a phase cannot set.

    A slot that `set` names is enabled in the phase, unless a later layer has disabled it.
    """
    layers = [layer for _, layer in _changes(source, name)]
    for slot, off in disabled_since(source, name).items():
        data = nested((*slot, "enabled"), False)
        layers.append(attrs.evolve(off, data=data, at=off.line((*slot, "enabled")), statement=_statement(name)))
    return source.with_layers(layers)


def disabled_since(source: RecipeSource, name: str) -> dict[KeyPath, Layer]:
    """Return the slots that the `set` of a phase names but a later layer disables, each with that layer."""
    changes = _changes(source, name)
    data: dict[str, Any] = reduce(merge, (layer.data for _, layer in changes), {})
    found: dict[KeyPath, Layer] = {}
    for slot, table in named_slots(data):
        off = source.layer((*slot, "enabled"))
        if off is None or "enabled" in table or not is_disabled(source.data, slot):
            continue
        keys = [key for key, layer in changes if value_at(layer.data, slot) is not None]
        written = [source.layer(("phases", name, "set", key)) for key in keys]
        if source.layers.index(off) > max(source.layers.index(layer) for layer in written if layer):
            found[slot] = off
    return found


def wrong_keys(source: RecipeSource, name: str) -> list[tuple[str, str]]:
    """Return the keys in the `set` of a phase that a phase cannot set, and why."""
    return [(key, problem) for key, problem in _layers(source, name) if isinstance(problem, str)]


def named_by_phases(source: RecipeSource) -> set[KeyPath]:
    """Return the paths of all slots that the `set` of any phase names."""
    phases = source.data.get("phases")
    changes = [change for name in (phases if isinstance(phases, dict) else ()) for change in _changes(source, name)]
    return {slot for _, layer in changes for slot, _ in named_slots(layer.data)}


def _changes(source: RecipeSource, name: str) -> list[tuple[str, Layer]]:
    """Return the valid keys in the `set` of a phase, each with its layer."""
    return [(key, layer) for key, layer in _layers(source, name) if isinstance(layer, Layer)]


def _statement(name: str) -> str:
    return f"phases.{name}.set"


def _layers(source: RecipeSource, name: str) -> Iterator[tuple[str, Layer | str]]:
    """Yield each key in the `set` of a phase with its layer, or with the reason why it is invalid."""
    changes: Any = value_at(source.data, ("phases", name, "set"))
    for key, value in changes.items() if isinstance(changes, dict) else ():
        own_path = ("phases", name, "set", key)
        layer = source.layer(own_path)
        try:
            path = split_path(key)
        except MtrackError as error:
            yield key, str(error)
            continue
        slot = path[: _DEPTHS.get(path[0], 0) + 1]
        if path[0] in _SAME_IN_ALL_PHASES:
            yield key, f"a phase cannot set '{path[0]}', which is the same in all phases"
        elif len(slot) > 1 and value_at(source.data, slot) is None:
            others = value_at(source.data, slot[:-1])
            remedy = did_you_mean(slot[-1], others) if isinstance(others, dict) else ""
            yield key, f"there is no '{'.'.join(slot)}' that a phase could change; {remedy}".rstrip("; ")
        elif layer is not None:
            line, data = layer.line(own_path), nested(path, value)
            yield key, Layer(layer.name, data, layer.directory, at=line, statement=_statement(name), file=layer.file)
