"""Environments of shipped recipes, made small for tests."""

from __future__ import annotations

from mtrack.assemble import Assembly, assemble
from mtrack.recipe import load_recipe
from mtrack.registry import Registry
from mtrack.structure import Recipe, check_recipe


def recipe(name: str, *overrides: str) -> Recipe:
    """Return a shipped recipe, checked, in its first phase."""
    checked = check_recipe(load_recipe(name, overrides), Registry.scan())
    return checked.for_phase(next(iter(checked.phases)))


def task(name: str, *overrides: str) -> Assembly:
    """Return the environment of a shipped recipe, started."""
    assembly = assemble(recipe(name, *overrides))
    assembly.env.start()
    return assembly
