"""Verifies that a phase reports the metrics that its `until` names: a typing mistake would never end the phase."""

from __future__ import annotations

from collections.abc import Collection

from mtrack.errors import RecipeError, did_you_mean
from mtrack.recipe.checked import Recipe
from mtrack.recipe.keypath import split_path
from mtrack.recipe.reader import problem_at
from mtrack.recipe.slots import PhaseSlot


def unreported(slot: PhaseSlot, reported: Collection[str]) -> list[str]:
    """Return the metrics that the `until` of a phase names and that are not reported."""
    until = slot.until
    return [name for name in until.metrics if name not in reported] if until and until.enabled else []


def require_reported(recipe: Recipe, slot: PhaseSlot, reported: Collection[str]) -> None:
    """Raise RecipeError if the `until` of a phase names metrics that are not reported, with similar or all names."""
    until, problems = (*split_path(slot.path), "until"), []
    for name in unreported(slot, reported):
        side = "above" if slot.until and name in slot.until.above else "below"
        hint = did_you_mean(name, reported) or f"it reports:\n{_by_family(reported)}"
        problems.append(problem_at(recipe.source, (*until, side, name), f"the phase reports no metric '{name}'", hint))
    if problems:
        raise RecipeError(recipe.name, problems)


def _by_family(names: Collection[str]) -> str:
    """Return names in one line for each family, the part before the first slash."""
    families: dict[str, list[str]] = {}
    for name in sorted(names):
        family, _, rest = name.partition("/")
        families.setdefault(family, []).append(rest)
    return "\n".join(f"  {family}/  {'  '.join(rest)}" for family, rest in families.items())
