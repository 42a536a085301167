"""Reads the tables of a recipe into slots and settings, and collects everything that is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, TypeVar

import attrs

from mtrack.api.fields import params_of
from mtrack.api.kinds import Kind
from mtrack.errors import ComponentError, NameProblem, Problem, did_you_mean
from mtrack.recipe.backend_choice import choose_backend
from mtrack.recipe.keypath import KeyPath, dotted, merge, nested, value_at
from mtrack.recipe.load import RecipeSource
from mtrack.recipe.shipped import is_named_by
from mtrack.recipe.slots import AUTO, SLOT_CLASSES, Slot
from mtrack.recipe.write import Table, inline
from mtrack.registry.registry import Entry, Registry
from mtrack.registry.values import Fields, describe_fields, structure_fields

_SLOT_NAME = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST_VALUE = 60  # characters of a wrong value that a report shows
T = TypeVar("T")


class Reader:
    """Reads one recipe."""

    def __init__(self, source: RecipeSource, registry: Registry, waking: Collection[KeyPath] = ()) -> None:
        """Read `source`; slots at the paths `waking` are kept even if they are not enabled."""
        self.source = source
        self.registry = registry
        self.problems: list[Problem] = []
        self.dormant: dict[str, Slot] = {}
        """Slots that are not enabled, but that a phase may enable."""
        self._waking = waking

    def problem(self, path: KeyPath, message: str, hint: str = "", *, with_value: bool = True) -> None:
        """Note a problem at a path."""
        self.problems.append(problem_at(self.source, path, message, hint, with_value=with_value))

    def table(self, path: KeyPath) -> Table:
        """Return the table at a path, an empty one where there is none."""
        value = value_at(self.source.data, path)
        if value is None or isinstance(value, dict):
            return value or {}
        self.problem(path, "expected a table")
        return {}

    def fields(self, path: KeyPath, fields: Fields, table: Table) -> dict[str, Any]:
        """Return the values of fields from a table, whatever else it holds."""
        values, problems = structure_fields(fields, table, lambda name: self._directory((*path, name)))
        for problem in problems:
            self.problem((*path, *problem.path), problem.message, problem.hint)
        return values

    def unknown(
        self, path: KeyPath, table: Table, known: Collection[str], what: str = "key '{}'", hint: str = ""
    ) -> None:
        """Note the keys of a table that are not among those known."""
        for key in table.keys() - set(known):
            remedy = f"{did_you_mean(key, known)}   {hint}".strip()
            self.problem((*path, key), f"unknown {what.format(key)}", remedy, with_value=False)

    def settings(self, path: KeyPath, cls: type[T], owner: str) -> T:
        """Return the settings that a table of the kernel gives, the defaults where something is wrong with it."""
        before, fields, table = len(self.problems), params_of(cls), self.table(path)
        self.unknown(path, table, fields, f"key '{{}}' for {owner}", f"keys: {describe_fields(fields)}")
        values = self.fields(path, fields, table)
        return cls() if len(self.problems) > before else cls(**values)

    def single(self, kind: Kind, default_use: str = "") -> Slot | None:
        """Return the slot of a kind of which a recipe has one."""
        path = (kind.table,)
        if kind.table not in self.source.data and not default_use:
            names = ", ".join(dict.fromkeys(entry.name for entry in self.registry.of(kind.name)))
            self.problem(path, f"missing table [{kind.table}] with `use = ...`", f"installed: {names}")
            return None
        return self._slot(kind, path, self.table(path), default_use)

    def slots(self, kind: Kind) -> dict[str, Any]:
        """Return the enabled slots of a kind by name, or by group and name."""
        found: dict[str, Any] = {}
        for path, table in self._tables(kind, (kind.table,), kind.depth):
            slot = self._enabled(kind, path, table)
            found = found if slot is None else merge(found, nested(path[1:], slot))
        return found

    def _tables(self, kind: Kind, path: KeyPath, depth: int) -> Iterator[tuple[KeyPath, Table]]:
        """Yield path and table of each slot."""
        for name, inner in self.table(path).items():
            below = (*path, name)
            if not isinstance(inner, dict):
                levels = ".".join([kind.table, *("<group>", "<slot>")[-kind.depth :]])
                self.problem(below, "expected a table", f"a {kind.name} is a table [{levels}]")
            elif not _SLOT_NAME.fullmatch(name):
                self.problem(below, "a name here may have letters, digits, _ and - only", with_value=False)
            elif depth > 1:
                yield from self._tables(kind, below, depth - 1)
            else:
                yield below, inner

    def _enabled(self, kind: Kind, path: KeyPath, table: Table) -> Slot | None:
        """Return a slot unless it is not enabled; then it is checked too, and kept apart if a phase may enable it."""
        enabled = table.get("enabled", True)
        if not isinstance(enabled, bool):
            self.problem((*path, "enabled"), "expected true or false")
        if enabled is not False:
            return self._slot(kind, path, table, path[-1])
        slot = self._slot(kind, path, table, path[-1], is_enabled=False)
        if slot is not None and path in self._waking:
            self.dormant[slot.path] = slot
        return None

    def _slot(
        self, kind: Kind, path: KeyPath, table: Table, default_use: str, *, is_enabled: bool = True
    ) -> Slot | None:
        """Return the slot of a table, or None if something is wrong with it, or missing from one that is disabled."""
        before, slot_class = len(self.problems), SLOT_CLASSES.get(kind.name, Slot)
        own_fields = params_of(slot_class)
        own = self.fields(path, own_fields if is_enabled else _given(own_fields, table), table)
        entry, cls = self._component(kind, path, table, default_use, is_enabled=is_enabled)
        if entry is None or cls is None:
            return None
        fields = params_of(cls)
        hint = f"parameters: {describe_fields(fields) or 'none'}"
        known = [*fields, *kind.keys]
        self.unknown(
            path, table, known, f"parameter '{{}}' for {entry}", f"{hint}{self._inherited(kind, path, table, known)}"
        )
        params = self.fields(path, fields if is_enabled else _given(fields, table), table)
        if len(self.problems) > before or len(own) < len(own_fields) or len(params) < len(fields):
            return None
        use = table.get("use", default_use)
        file, line = self.source.origin(path)
        origin = f"{file}:{line}" if line else file
        slot = slot_class(
            path=dotted(path), kind=kind.name, use=use, entry=entry, cls=cls, params=params, origin=origin, **own
        )
        try:
            slot.build()  # for checks across fields, which need them all
        except (Exception, SystemExit) as error:  # a constructor of somebody else's
            self.problem(path, f"{entry} does not accept these parameters: {error}", with_value=False)
        return slot

    def _inherited(self, kind: Kind, path: KeyPath, table: Table, known: Collection[str]) -> str:
        """Return what to do if a recipe replaces the component of a table whose other keys an extended recipe sets."""
        layers = self.source.layers
        naming = self.source.layer((*path, "use"))
        older = layers[: layers.index(naming)] if naming in layers else ()
        if not any(self.source.layer((*path, key)) in older for key in table.keys() - set(known)):
            return ""
        return (
            f"\nan extended recipe sets it for another {kind.name}, and no recipe can remove a key: "
            f"extend a recipe without it, or none"
        )

    def _component(
        self, kind: Kind, path: KeyPath, table: Table, default_use: str, *, is_enabled: bool
    ) -> tuple[Entry | None, type | None]:
        use = table.get("use", default_use)
        if not isinstance(use, str) or not use:
            self.problem((*path, "use"), f"expected the name of a {kind.name}, in quotes")
            return None, None
        try:
            if (kind.name, use) == ("backend", AUTO):
                entry = choose_backend(self.registry, str(self.source.data.get("device", AUTO)))
            else:
                layer = self.source.naming_layer(path)
                entry = self.registry.find(kind.name, use, lambda home: is_named_by(layer, dotted(path), use, home))
            return entry, self.registry.load(entry)
        except (NameProblem, ComponentError) as error:
            if isinstance(error, ComponentError) and not is_enabled:
                return None, None  # disabling a component is how to do without one that cannot be imported
            is_written = "use" in table
            self.problem((*path, "use") if is_written else path, str(error), with_value=is_written)
            return None, None

    def _directory(self, path: KeyPath) -> Path:
        layer = self.source.layer(path)
        return self.source.directory if layer is None else layer.directory


def problem_at(
    source: RecipeSource, path: KeyPath, message: str, hint: str = "", *, with_value: bool = True
) -> Problem:
    """Return a problem at a path; if nothing is there, its place is that of the table around it."""
    present = path
    while present and source.layer(present) is None:
        present = present[:-1]
    place, line = source.origin(present)
    value = value_at(source.data, path) if with_value else None
    text = "" if value is None else inline(value)
    shown = text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."
    return Problem(dotted(path), message, hint, place, line, shown)


def _given(fields: Fields, table: Table) -> Fields:
    """Return the fields that a table gives or that have a default; whoever enables a slot gives the others."""
    return {name: field for name, field in fields.items() if name in table or field.default is not attrs.NOTHING}
