"""Reads the tables of a recipe into slots and settings, and collects all problems."""

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
from mtrack.recipe.shipped import is_named_by
from mtrack.recipe.slots import AUTO, SLOT_CLASSES, Slot
from mtrack.recipe.source import RecipeSource
from mtrack.recipe.write import Table, inline
from mtrack.registry.registry import Entry, Registry
from mtrack.registry.values import Fields, describe_fields, structure_fields

_SLOT_NAME = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST_VALUE = 60  # longest invalid value in a report, in characters
T = TypeVar("T")


class Reader:
    """Reads one recipe and collects its problems."""

    def __init__(self, source: RecipeSource, registry: Registry, may_enable: Collection[KeyPath] = ()) -> None:
        """Prepare to read `source`; disabled slots that a phase `may_enable` are kept."""
        self.source = source
        self.registry = registry
        self.problems: list[Problem] = []
        self.dormant: dict[str, Slot] = {}
        """Disabled slots that a phase may enable, by path."""
        self._may_enable = may_enable

    def problem(self, path: KeyPath, message: str, hint: str = "", *, with_value: bool = True) -> None:
        """Add a problem at a path."""
        self.problems.append(problem_at(self.source, path, message, hint, with_value=with_value))

    def table(self, path: KeyPath) -> Table:
        """Return the table at a path; an empty one if it is missing."""
        value = value_at(self.source.data, path)
        if value is None or isinstance(value, dict):
            return value or {}
        self.problem(path, "expected a table")
        return {}

    def fields(self, path: KeyPath, fields: Fields, table: Table) -> dict[str, Any]:
        """Return the values of fields from a table; its other keys are ignored."""
        values, problems = structure_fields(fields, table, lambda name: self._directory((*path, name)))
        for problem in problems:
            self.problem((*path, *problem.path), problem.message, problem.hint)
        return values

    def unknown(
        self, path: KeyPath, table: Table, known: Collection[str], what: str = "key '{}'", hint: str = ""
    ) -> None:
        """Add a problem for each unknown key of a table."""
        for key in table.keys() - set(known):
            remedy = f"{did_you_mean(key, known)}   {hint}".strip()
            self.problem((*path, key), f"unknown {what.format(key)}", remedy, with_value=False)

    def settings(self, path: KeyPath, cls: type[T], owner: str) -> T:
        """Return the settings in a table of the kernel; the defaults if the table has a problem."""
        before, fields, table = len(self.problems), params_of(cls), self.table(path)
        self.unknown(path, table, fields, f"key '{{}}' for {owner}", f"keys: {describe_fields(fields)}")
        values = self.fields(path, fields, table)
        return cls() if len(self.problems) > before else cls(**values)

    def single(self, kind: Kind, default_use: str = "") -> Slot | None:
        """Return the slot of a kind that a recipe has exactly once, e.g. `[robot]`."""
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
                self.problem(below, "a name may contain only letters, digits, _ and -", with_value=False)
            elif depth > 1:
                yield from self._tables(kind, below, depth - 1)
            else:
                yield below, inner

    def _enabled(self, kind: Kind, path: KeyPath, table: Table) -> Slot | None:
        """Return a slot if it is enabled. Check a disabled one too, and keep it if a phase may enable it."""
        enabled = table.get("enabled", True)
        if not isinstance(enabled, bool):
            self.problem((*path, "enabled"), "expected true or false")
        if enabled is not False:
            return self._slot(kind, path, table, path[-1])
        slot = self._slot(kind, path, table, path[-1], is_enabled=False)
        if slot is not None and path in self._may_enable:
            self.dormant[slot.path] = slot
        return None

    def _slot(
        self, kind: Kind, path: KeyPath, table: Table, default_use: str, *, is_enabled: bool = True
    ) -> Slot | None:
        """Return the slot of a table; None if it has a problem, or if it is disabled and incomplete."""
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
            slot.build()  # for checks across fields
        except (Exception, SystemExit) as error:  # the constructor of a plugin may raise anything
            self.problem(path, f"{entry} does not accept these parameters: {error}", with_value=False)
        return slot

    def _inherited(self, kind: Kind, path: KeyPath, table: Table, known: Collection[str]) -> str:
        """Return a hint if a recipe replaces a component, but an extended recipe has set parameters of the old one."""
        layers = self.source.layers
        naming = self.source.layer((*path, "use"))
        older = layers[: layers.index(naming)] if naming in layers else ()
        if not any(self.source.layer((*path, key)) in older for key in table.keys() - set(known)):
            return ""
        return (
            f"\nan extended recipe sets it for another {kind.name}, and a recipe cannot remove a key: "
            f"use a new slot name and disable this slot, or extend a recipe that does not set it"
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
                return None, None  # a component that cannot be imported can be disabled
            is_written = "use" in table
            self.problem((*path, "use") if is_written else path, str(error), with_value=is_written)
            return None, None

    def _directory(self, path: KeyPath) -> Path:
        layer = self.source.layer(path)
        return self.source.directory if layer is None else layer.directory


def problem_at(
    source: RecipeSource, path: KeyPath, message: str, hint: str = "", *, with_value: bool = True
) -> Problem:
    """Return a problem at a path; if nothing is set there, its line is that of the table around it."""
    present = path
    while present and source.layer(present) is None:
        present = present[:-1]
    file, line = source.origin(present)
    value = value_at(source.data, path) if with_value else None
    text = "" if value is None else inline(value)
    shown = text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."
    return Problem(dotted(path), message, hint, file, line, shown)


def _given(fields: Fields, table: Table) -> Fields:
    """Return the fields that a table sets or that have a default; a disabled slot need not set the others."""
    return {name: field for name, field in fields.items() if name in table or field.default is not attrs.NOTHING}
