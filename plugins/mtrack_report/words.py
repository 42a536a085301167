"""What components do, in the words of their docstrings, and the defaults of their parameters, if they are installed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from mtrack import ComponentError
from mtrack.api.fields import params_of
from mtrack.api.kinds import KINDS
from mtrack.recipe.checked import Recipe
from mtrack.recipe.keypath import KeyPath, dotted
from mtrack.recipe.slots import SLOT_CLASSES, Slot
from mtrack.registry.plain import plain
from mtrack.registry.registry import Entry, Registry

_KIND_OF = {kind.table: kind.name for kind in KINDS.values() if kind.table}


@attrs.frozen(eq=False)
class Words:
    """The components of one run, by slot."""

    components: Mapping[str, str]
    """`mtrack:root_pos==0.2.0` by path, from the manifest of the run."""
    _registry: Registry
    _entries: Mapping[tuple[str, str], Entry]

    @classmethod
    def read(cls, components: Mapping[str, str]) -> Words:
        """Find the installed components. Nothing is imported; docstrings are read from the source when needed."""
        registry = Registry.scan()
        return cls(components, registry, {(entry.kind, entry.full_name): entry for entry in registry.entries})

    def component(self, path: str) -> str:
        """Return the component of a slot, without the distribution if that is mtrack."""
        return self.components.get(path, "").partition("==")[0].removeprefix("mtrack:")

    def of(self, path: str) -> str:
        """Return the first line of the docstring of the component in a slot; empty if it is not installed."""
        entry = self._entry(path)
        return entry.help if entry else ""

    def default(self, slot: KeyPath, key: str) -> Any:
        """Return the default of a key of a slot, or of a setting of the whole recipe; None if it is not known."""
        if not slot:
            return _default(Recipe, key)
        entry = self._entry(dotted(slot))
        if entry is None:
            return None
        kernel = _default(SLOT_CLASSES.get(entry.kind, Slot), key)
        try:
            return _default(self._registry.load(entry), key) if kernel is None else kernel
        except ComponentError:
            return None

    def _entry(self, path: str) -> Entry | None:
        full_name = self.components.get(path, "").partition("==")[0]
        return self._entries.get((_KIND_OF.get(path.partition(".")[0], ""), full_name))


def _default(cls: type, key: str) -> Any:
    """Return the default of a parameter as recipes write it; None if it has no default."""
    field = params_of(cls).get(key)
    if field is None or field.default is attrs.NOTHING:
        return None
    make = getattr(field.default, "factory", None)  # of attrs.Factory, which annotations do not know as a class
    return plain(make() if make else field.default)
