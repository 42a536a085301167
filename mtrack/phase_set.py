"""What a phase changes in the recipe: its `set`, laid over the recipe like another file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mtrack.errors import MtrackError, did_you_mean
from mtrack.keypath import KeyPath, nested, split_path, value_at
from mtrack.kinds import KINDS
from mtrack.recipe import Layer, RecipeSource

_DEPTHS = {kind.table: kind.depth for kind in KINDS.values()}
_SAME_IN_ALL_PHASES = frozenset({"seed", "device", "run", "agent", "phases", "loggers"})


def in_phase(source: RecipeSource, name: str) -> RecipeSource:
    """Return the source with the `set` of a phase over it; keys that cannot be set are left out."""
    return source.with_layers([layer for _, layer in _layers(source, name) if isinstance(layer, Layer)])


def wrong_keys(source: RecipeSource, name: str) -> list[tuple[str, str]]:
    """Return the keys in the `set` of a phase that cannot be set, and why."""
    return [(key, flaw) for key, flaw in _layers(source, name) if isinstance(flaw, str)]


def touched_slots(source: RecipeSource) -> set[KeyPath]:
    """Return the paths of all slots that some phase changes."""
    phases = source.data.get("phases")
    paths: set[KeyPath] = set()
    for name in phases if isinstance(phases, dict) else ():
        for key, layer in _layers(source, name):
            if isinstance(layer, Layer):
                path = split_path(key)
                paths.add(path[: _DEPTHS.get(path[0], 0) + 1])
    return paths


def _layers(source: RecipeSource, name: str) -> Iterator[tuple[str, Layer | str]]:
    """Yield each key of the `set` of a phase with the layer it makes, or with why it makes none."""
    changes: Any = value_at(source.data, ("phases", name, "set"))
    for key, value in changes.items() if isinstance(changes, dict) else ():
        place = ("phases", name, "set", key)
        layer = source.layer(place)
        try:
            path = split_path(key)
        except MtrackError as error:
            yield key, str(error)
            continue
        slot = path[: _DEPTHS.get(path[0], 0) + 1]
        if path[0] in _SAME_IN_ALL_PHASES:
            yield key, f"'{path[0]}' is the same in all phases"
        elif len(slot) > 1 and value_at(source.data, slot) is None:
            others = value_at(source.data, slot[:-1])
            remedy = did_you_mean(slot[-1], others) if isinstance(others, dict) else ""
            yield key, f"there is no '{'.'.join(slot)}' for a phase to change; {remedy}".rstrip("; ")
        elif layer is not None:
            yield key, Layer(layer.name, nested(path, value), layer.directory, at=layer.line(place), file=layer.file)
