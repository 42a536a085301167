"""What a run changes against the recipe that its own recipe extends, from the origins that the run has kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from mtrack import MtrackError
from mtrack.recipe.changes import short
from mtrack.recipe.keypath import KeyPath, dotted, leaves, value_at
from mtrack.recipe.load import COMMAND_LINE, read_recipe
from mtrack.recipe.source import RecipeSource
from mtrack_dev.sides import SLOT_TABLES
from mtrack_report.run_facts import RunFacts
from mtrack_report.words import Words

_DEFAULT = "default"


@attrs.frozen
class RecipeChange:
    """One value that differs."""

    path: str
    old: str
    new: str
    origin: str
    """`file:line` or `--set`."""


@attrs.frozen
class Changes:
    """All changes of a run against its base recipe."""

    base: str
    """Name of the base recipe; empty if it was not found, and then no old value is known."""
    values: tuple[RecipeChange, ...]
    switched_off: tuple[str, ...]
    """Slots of the base that the run does not have."""


def changes(run: RunFacts, words: Words) -> Changes:
    """Return the changes of a run. The base is read as it is now."""
    files = {_file(run.origin(path)) for path, _ in _values(run.recipe)}
    source = _own_recipe(run, files)
    if source is None:
        own = {file for file in files if Path(file).name == run.manifest.get("recipe")} | {COMMAND_LINE}
        return Changes("", tuple(_changed(run, words, None, files - own)), ())
    base = attrs.evolve(source, layers=source.layers[:-1] or source.layers)
    chain = {str(layer.file.resolve()) for layer in base.layers if layer.file}
    inherited = {file for file in files if str(Path(file).absolute().resolve()) in chain} | {_DEFAULT}
    missing = [dotted(path) for path in _slots(base.data) if value_at(run.recipe, path) is None]
    found = tuple(_changed(run, words, base.data, inherited))
    file = base.layers[-1].file
    return Changes(file.name if file else "", found, tuple(missing))


def _changed(
    run: RunFacts, words: Words, base: Mapping[str, Any] | None, inherited: set[str]
) -> Iterator[RecipeChange]:
    """Yield the values whose origin is not one of the inherited ones; without a base, no old value is known."""
    for path, value in _values(run.recipe):
        origin = run.origin(path)
        is_implied = path[-1] == "use" and _file(origin) == str(run.directory / "recipe.toml")
        if path[-1] == "enabled" or is_implied or _file(origin) in inherited:
            continue
        old = "" if base is None else _old(base, words, path)
        new = short(_plain(path, value))
        if old != new:
            yield RecipeChange(dotted(path), old, new, _shown(origin))


def _old(base: Mapping[str, Any], words: Words, path: KeyPath) -> str:
    """Return the value that a recipe has at a path, or the default that it uses there."""
    *slot, key = path
    given = value_at(base, path)
    if given is None and slot and value_at(base, tuple(slot)) is None:
        return "absent"
    value = _plain(path, words.default(tuple(slot), key) if given is None else given)
    return _DEFAULT if value is None else short(value)


def _own_recipe(run: RunFacts, files: set[str]) -> RecipeSource | None:
    """Return the recipe that the run was started with, if it can still be found."""
    name = str(run.manifest.get("recipe", ""))
    for place in [*(file for file in sorted(files) if name and Path(file).name == name), name.removesuffix(".toml")]:
        try:
            return read_recipe(place) if place else None
        except MtrackError:
            continue
    return None


def _values(recipe: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Any]]:
    """Yield the values of a recipe; a table within a slot is one value, as in the recipe of a run."""
    depths = {table: kind.depth for table, kind in SLOT_TABLES.items()} | {"run": 0, "reward_groups": 1}
    for key, value in recipe.items():
        if key not in depths:
            yield (key,), value
            continue
        for path, slot in leaves(value, depths[key], (key,)):
            for inner, member in slot.items():
                if (key, inner) == ("phases", "set") and isinstance(member, dict):
                    yield from (((*path, inner, part), each) for part, each in member.items())
                else:
                    yield (*path, inner), member


def _slots(recipe: Mapping[str, Any]) -> Iterator[KeyPath]:
    """Yield the paths of the slots that are not disabled."""
    for kind in SLOT_TABLES.values():
        for path, slot in leaves(recipe.get(kind.table, {}), kind.depth, (kind.table,)):
            if kind.depth and isinstance(slot, dict) and slot.get("enabled", True):
                yield path


def _plain(path: KeyPath, value: Any) -> Any:
    """Return the value; the name of a component without its distribution, which recipes leave out."""
    return value.rpartition(":")[2] if path[-1] == "use" and isinstance(value, str) else value


def _file(origin: str) -> str:
    """Return the file of an origin `file:line`; what is not a file, such as `--set`, stays."""
    first = origin.partition(", enabled by ")[0]
    file, _, line = first.rpartition(":")
    return file if line.isdigit() else first


def _shown(origin: str) -> str:
    """Return an origin without the folders of the machine."""
    return ", enabled by ".join(Path(part).name for part in origin.split(", enabled by "))
