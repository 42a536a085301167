"""Environments of built-in recipes, made small."""

from __future__ import annotations

from mtrack.assemble import Assembly, assemble
from mtrack.recipe import load_recipe
from mtrack.registry import Registry
from mtrack.structure import Recipe, check_recipe


def small_recipe(name: str, *overrides: str) -> Recipe:
    """Return a recipe by name or path, `key=value` overrides over it, checked, as it is in its first phase."""
    checked = check_recipe(load_recipe(name, overrides), Registry.scan())
    return checked.for_phase(next(iter(checked.phases)))


def small_task(name: str, *overrides: str) -> Assembly:
    """Return the environment of a recipe, started."""
    assembly = assemble(small_recipe(name, *overrides))
    assembly.env.start()
    return assembly
