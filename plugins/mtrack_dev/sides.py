"""Opens what `mtrack diff` compares: a recipe as it would run here, or a run with its manifest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from mtrack import MtrackError
from mtrack.api.kinds import KINDS, Kind
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.keypath import KeyPath, dotted, value_at
from mtrack.recipe.load import read_recipe
from mtrack.recipe.source import Layer
from mtrack.recipe.write import Table
from mtrack.registry.registry import OWN, Registry
from mtrack.run.manifest import manifest
from mtrack.run.manifests import read_manifest

SLOT_TABLES = {kind.table: kind for kind in KINDS.values() if kind.table}


@attrs.frozen(eq=False)
class Side:
    """One side of the comparison."""

    name: str
    """Name as given by the user."""
    table: Table
    """The whole recipe, defaults included."""
    origin: Callable[[KeyPath], str]
    """Returns where a value comes from: `file:line`, `--set`, `default`; empty if unknown."""
    made_with: Mapping[str, Any] | None
    """Manifest of the run, or the one that a run of the recipe would have here. None if the run lacks it."""
    switched_off: Callable[[KeyPath], bool] = lambda path: False
    """Returns whether a slot is disabled with `enabled = false`."""

    def slots(self) -> dict[KeyPath, tuple[str, Table]]:
        """Return kind and table of each slot. Raises MtrackError if the file is not a resolved recipe."""
        return {path: (kind.name, table) for kind in SLOT_TABLES.values() for path, table in self._slots_of(kind)}

    def component(self, path: KeyPath) -> str:
        """Return the component of a slot: `acme-rewards:upright==1.0` if known, else as in the recipe."""
        components = (self.made_with or {}).get("components", {})
        use = value_at(self.table, path).get("use", path[-1])
        return str(components.get(dotted(path), use))

    def _slots_of(self, kind: Kind) -> Iterator[tuple[KeyPath, Table]]:
        pending: list[tuple[KeyPath, Any]] = (
            [((kind.table,), self.table[kind.table])] if kind.table in self.table else []
        )
        while pending:
            path, value = pending.pop(0)
            if not isinstance(value, dict):
                raise MtrackError(f"{self.name}: expected a table at {dotted(path)}; run 'mtrack check' for details")
            if len(path) > kind.depth:
                yield path, {"enabled": True, **value} if "enabled" in kind.keys else value
            else:
                pending += [((*path, name), inner) for name, inner in value.items()]


def open_side(name: str, registry: Registry, overrides: Sequence[str] = ()) -> Side:
    """Open a recipe (file or name) or a run directory. Raises MtrackError, CheckpointError, RecipeError."""
    place = Path(name).expanduser()
    if not (place / "recipe.toml").is_file():
        recipe = check_recipe(read_recipe(name, overrides), registry)
        data = recipe.source.data
        return Side(
            name,
            recipe.table(),
            recipe.origin,
            manifest(recipe),
            lambda path: (value_at(data, path) or {}).get("enabled") is False,
        )
    if overrides:
        raise MtrackError(f"--set changes a recipe, but {name} is a run; compare with {place / 'recipe.toml'} instead")
    source = read_recipe(place / "recipe.toml")
    facts = read_manifest(place) if (place / "manifest.json").is_file() else None
    return Side(name, _with_short_names(source.data), recorded_origin(source.layers[-1]), facts)


def _with_short_names(value: Any, key: str = "") -> Any:
    """Return the table with short names for components of mtrack, as in `Recipe.table`."""
    if isinstance(value, dict):
        return {inner: _with_short_names(member, inner) for inner, member in value.items()}
    is_use = key == "use" or key.endswith(".use")
    return value.removeprefix(f"{OWN}:") if is_use and isinstance(value, str) else value


def recorded_origin(layer: Layer) -> Callable[[KeyPath], str]:
    """Return a function that reads the origin of a value from the comments in the recipe of a run, its only layer."""
    lines = layer.text.replace("\r\n", "\n").split("\n")

    def origin(path: KeyPath) -> str:
        number = layer.line(path)
        if number is None:
            return layer.name
        comment = lines[number - 1].rpartition("  # ")
        return comment[2] if comment[1] else f"{layer.name}:{number}"

    return origin
