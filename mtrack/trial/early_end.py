"""Verifies that phases report the metrics that their `until`, and `run.best`, name.

With a typing mistake a phase would never end early, and no checkpoint would be the best.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from mtrack.errors import RecipeError, did_you_mean
from mtrack.recipe.checked import Recipe
from mtrack.recipe.keypath import split_path
from mtrack.recipe.reader import problem_at
from mtrack.recipe.slots import PhaseSlot


def is_any_unreported(recipe: Recipe, slot: PhaseSlot, reported: Collection[str]) -> bool:
    """Return whether the `until` of a phase, or `run.best`, names a metric that is not reported."""
    best = _best_metric(recipe)
    return bool(_unreported(slot, reported)) or bool(best and best not in reported)


def require_reported(recipe: Recipe, slot: PhaseSlot, reported: Collection[str]) -> None:
    """Raise RecipeError if the `until` of a phase names metrics that are not reported, with similar or all names."""
    until, problems = (*split_path(slot.path), "until"), []
    for name in _unreported(slot, reported):
        side = "above" if slot.until and name in slot.until.above else "below"
        hint = did_you_mean(name, reported) or f"it reports:\n{_by_family(reported)}"
        problems.append(problem_at(recipe.source, (*until, side, name), f"the phase reports no metric '{name}'", hint))
    if problems:
        raise RecipeError(recipe.name, problems)


def _unreported(slot: PhaseSlot, reported: Collection[str]) -> list[str]:
    until = slot.until
    return [name for name in until.metrics if name not in reported] if until and until.enabled else []


def _best_metric(recipe: Recipe) -> str:
    """Return the metric of `run.best`; "" if a run does not keep its best checkpoints."""
    return recipe.run.best.metric if recipe.run.best and recipe.run.best.enabled else ""


def require_best_reported(recipe: Recipe, reported: Mapping[str, Collection[str]]) -> list[str]:
    """Return a remark for each phase that does not report the metric of `run.best`, from what each phase reports.

    Raises RecipeError if no phase reports it.
    """
    name = _best_metric(recipe)
    without = [phase for phase, names in reported.items() if name and name not in names]
    if reported and len(without) == len(reported):
        known = set().union(*reported.values())
        hint = did_you_mean(name, known) or f"they report:\n{_by_family(known)}"
        problem = problem_at(recipe.source, ("run", "best", "metric"), f"no phase reports a metric '{name}'", hint)
        raise RecipeError(recipe.name, [problem])
    return [f"phase {phase} does not report {name} (run.best): no best checkpoint of it is kept" for phase in without]


def _by_family(names: Collection[str]) -> str:
    """Return names in one line for each family, the part before the first slash."""
    families: dict[str, list[str]] = {}
    for name in sorted(names):
        family, _, rest = name.partition("/")
        families.setdefault(family, []).append(rest)
    return "\n".join(f"  {family}/  {'  '.join(rest)}" for family, rest in families.items())
