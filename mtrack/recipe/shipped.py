"""Finds the distribution of a recipe file, so that a name in it keeps its meaning whatever else is installed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from mtrack.recipe.load import recipe_folders
from mtrack.recipe.source import Layer
from mtrack.registry.registry import OWN, canonical


def is_named_by(layer: Layer | None, slot: str, name: str, distribution: str) -> bool:
    """Return whether an unqualified `name` in a layer means the component of a distribution.

    In a file, it means that of the distribution that ships the file. In the recipe of a run, it means the component
    that the manifest of the run records for the slot.
    """
    if layer is None:
        return False
    if layer.file is None:
        return canonical(layer.owner) == canonical(distribution)
    recorded = set(_recorded(layer.file, slot, name))
    return distribution in recorded if recorded else ships(distribution, layer.file)


def ships(distribution: str, file: Path) -> bool:
    """Return whether a distribution ships a file: it lists the file, or is installed in editable mode around it."""
    file = file.resolve()
    if canonical(distribution) == OWN:
        return any(file.is_relative_to(folder.resolve()) for folder in recipe_folders())
    try:
        found = metadata.distribution(distribution)
        origin = json.loads(found.read_text("direct_url.json") or "{}")
        if origin.get("dir_info", {}).get("editable"):
            folder = Path(url2pathname(urlsplit(origin["url"]).path)).resolve()
            if file.is_relative_to(folder):
                return True
        listed = (one for one in found.files or () if one.name == file.name)
        return any(Path(str(one.locate())).resolve() == file for one in listed)
    except (metadata.PackageNotFoundError, AttributeError, KeyError, TypeError, ValueError, OSError):
        return False  # unreadable metadata list no file


def _recorded(file: Path, slot: str, name: str) -> Iterator[str]:
    """Yield the distributions that the manifest of a run records for a slot, including those of its phases."""
    try:
        components: dict[str, Any] = json.loads((file.parent / "manifest.json").read_bytes())["components"]
        for path, component in components.items():
            distribution, _, recorded_name = component.partition("==")[0].rpartition(":")
            if recorded_name == name and (path == slot or path.endswith(f".set.{slot}")):
                yield distribution
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return  # not the recipe of a run, or an invalid manifest, which is reported elsewhere
