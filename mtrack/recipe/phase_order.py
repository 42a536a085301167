"""Checks the order of phases before a run starts, because a later phase may start only after days of training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtrack.api.lifecycle import Follows, require_order
from mtrack.errors import MtrackError, Problem, RecipeError
from mtrack.recipe.reader import problem_at

if TYPE_CHECKING:
    from mtrack.recipe.checked import Recipe


def check_order(recipe: Recipe, previous: str | None) -> None:
    """Raise RecipeError if a phase cannot follow the one before it; `previous` is the phase before the first one."""
    problems: list[Problem] = []
    for slot in recipe.phases.values():
        try:
            if isinstance(slot.cls, Follows):
                require_order(slot.entry.name, slot.cls.follows, previous)
        except MtrackError as error:
            problems.append(problem_at(recipe.source, tuple(slot.path.split(".")), str(error), with_value=False))
        previous = slot.entry.name
    if problems:
        raise RecipeError(recipe.name, problems)


def starts_from_run(recipe: Recipe) -> list[str]:
    """Return the phases that the first one can follow if it needs the agent of another run, else an empty list."""
    first = next(iter(recipe.phases.values())).cls
    follows = first.follows if isinstance(first, Follows) else (None,)
    return [] if None in follows else [phase for phase in follows if phase is not None]
