"""The lock on versions: what made a run, against what is installed here and what the recipe asks for now."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from mtrack.checkpoint_facts import read_manifest, require
from mtrack.errors import CheckpointError
from mtrack.provenance import LIBRARIES
from mtrack.registry import Registry, canonical

_MOST_NAMED = 8  # components of one distribution that a message names
_log = logging.getLogger("mtrack")


def made_with(place: Path) -> dict[str, Any]:
    """Return the manifest of a run or of a checkpoint: the nearest, up to the run's, that names components.

    Raises CheckpointError where there is none, or it cannot be read.
    """
    for file in (folder / "manifest.json" for folder in (place, *place.absolute().parents[:2])):
        facts = read_manifest(file) if file.is_file() else {}
        if facts.keys() >= {"components", "distributions"}:
            for key in ("components", "distributions"):
                require(_is_text_table(facts[key]), file, key, facts[key], "a table of texts")
            return facts
    raise CheckpointError(f"{place} is of no run: it has no manifest.json that says what made it")


def hold_versions(place: Path, registry: Registry, allow_change: bool, used: Iterable[str] | None = None) -> None:
    """Stop where components of a run or checkpoint are here in another version, unless allowed; warn of libraries.

    `used` as in `version_changes`. Raises CheckpointError.
    """
    try:
        changes, libraries = version_changes(made_with(place), registry, used)
    except CheckpointError as error:
        changes, libraries = [str(error)], []
    hold(place, changes, allow_change)
    hold(place, libraries, allow_change=True)


def version_changes(
    before: Mapping[str, Any], registry: Registry, used: Iterable[str] | None = None
) -> tuple[list[str], list[str]]:
    """Return what is here in another version than made a run: distributions with what they supplied, and libraries.

    `used` (as in a manifest's `components`) restricts it to components that are used here too.
    """
    names = set(map(_name, before["components"].values() if used is None else used))
    here = {canonical(entry.distribution): entry.version for entry in registry.entries}
    here |= {name: metadata.version(name) for name in LIBRARIES}
    changes: tuple[list[str], list[str]] = [], []
    for distribution, version in before["distributions"].items():
        filled = {path: _name(part) for path, part in before["components"].items() if _name(part) in names}
        own = {path: name.partition(":") for path, name in filled.items()}
        supplied = [f"{name} ({path})" for path, (home, _, name) in own.items() if home == distribution]
        now = here.get(canonical(distribution), "not installed")
        if now != version and (supplied or distribution in LIBRARIES):
            more = f" and {len(supplied) - _MOST_NAMED} more" if len(supplied) > _MOST_NAMED else ""
            named = ", ".join(supplied[:_MOST_NAMED]) + more
            changes[not supplied].append(f"{distribution} {version} then, {now} now: {named}".rstrip(": "))
    return changes


def recipe_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Yield in which components, and whether in any value, two manifests differ besides the versions."""
    old, new = before["components"], now["components"]
    for path in sorted(old.keys() | new.keys()):
        pair = [_name(components[path]) if path in components else "nothing" for components in (old, new)]
        if pair[0] != pair[1]:
            yield f"{path}: {pair[0]} then, {pair[1]} now"
    if before.get("recipe_sha256") != now["recipe_sha256"]:
        yield f"the recipe: recipe_sha256 {before.get('recipe_sha256')} then, {now['recipe_sha256']} now"


def hold(place: Path, changes: Sequence[str], allow_change: bool) -> None:
    """Stop where something has changed since a run was made, unless that is allowed. Raises CheckpointError."""
    if changes and not allow_change:
        remedy = "bring back what made it (pip install NAME==VERSION), or --allow-change goes on all the same"
        raise CheckpointError("\n  ".join([f"what made {place} is not what is here:", *changes]) + f"\n{remedy}")
    for change in changes:
        _log.warning("changed since %s was made: %s", place, change)


def _is_text_table(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _name(component: str) -> str:
    """Return `distribution:name` of `distribution:name==version`."""
    return component.partition("==")[0]
