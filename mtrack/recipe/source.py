"""A recipe before it is checked: its layers (files, the command line) merged, with where each value was set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property, reduce
from itertools import groupby
from pathlib import Path
from typing import Any

import attrs

from mtrack.recipe.enabled import lay_over
from mtrack.recipe.keypath import KeyPath, merge, split_path, value_at
from mtrack.recipe.lines import key_lines


@attrs.frozen(slots=False, eq=False)
class Layer:
    """One source of values: a file, a `--set` option, or a key in the `set` of a phase."""

    name: str
    """Name in messages."""
    data: dict[str, Any]
    directory: Path
    """Directory to which its paths are relative."""
    text: str = ""
    """Text of the file."""
    at: int | None = None
    """Line of all its keys, if it is a part of one statement."""
    statement: str = ""
    """Successive layers of one statement (all `--set`, or the `set` of a phase) together decide what is enabled."""
    file: Path | None = None
    """File that it was read from; None for the command line and for changes made by a command."""
    owner: str = ""
    """Distribution of the command that made it, if any."""

    @cached_property
    def _lines(self) -> dict[KeyPath, int]:
        return key_lines(self.text)

    def line(self, path: KeyPath) -> int | None:
        """Return the line of a key, or of the closest table around it whose line is known."""
        known = (self._lines[path[:length]] for length in range(len(path), 0, -1) if path[:length] in self._lines)
        return self.at or next(known, None)


@attrs.frozen(slots=False, eq=False)
class RecipeSource:
    """A recipe before it is checked."""

    name: str
    """Name by which the user calls it."""
    directory: Path
    """Directory of the recipe file."""
    layers: tuple[Layer, ...]
    """From the base recipe to the command line."""

    @cached_property
    def data(self) -> dict[str, Any]:
        """All layers merged. Keys are in the order in which they first appear.

        The last statement that names a slot decides whether it is enabled (`mtrack.recipe.enabled`).
        """
        merged: dict[str, Any] = {}
        for _, statement in groupby(self.layers, key=lambda layer: layer.statement or id(layer)):
            parts: Iterator[dict[str, Any]] = (layer.data for layer in statement)
            merged = lay_over(merged, reduce(merge, parts))
        return {key: value for key, value in merged.items() if key != "extends"}

    def origin(self, path: str | KeyPath) -> tuple[str, int | None]:
        """Return source and line (None if unknown) of a value, or of a table in the last file that has it."""
        keys = split_path(path)
        layer = self.layer(keys)
        if isinstance(value_at(self.data, keys), dict):
            layer = next(
                (file for file in reversed(self.layers) if file.text and value_at(file.data, keys) is not None), layer
            )
        return (self.name, None) if layer is None else (layer.name, layer.line(keys))

    def layer(self, path: KeyPath) -> Layer | None:
        """Return the last layer that sets a value."""
        return next((layer for layer in reversed(self.layers) if value_at(layer.data, path) is not None), None)

    def naming_layer(self, slot: KeyPath) -> Layer | None:
        """Return the layer that names the component of a slot: the last with `use`, else the first with the slot."""
        has_slot = (layer for layer in self.layers if value_at(layer.data, slot) is not None)
        return self.layer((*slot, "use")) or next(has_slot, None)

    def with_layers(self, layers: Sequence[Layer]) -> RecipeSource:
        """Return this source with further layers at the end."""
        return attrs.evolve(self, layers=(*self.layers, *layers))
