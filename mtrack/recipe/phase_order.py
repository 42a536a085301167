"""Which phase can follow which: checked before a run begins, because a later phase may start after days of training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mtrack.api.lifecycle import Follows
from mtrack.errors import MtrackError, Problem, RecipeError
from mtrack.recipe.reader import problem_at

if TYPE_CHECKING:
    from mtrack.recipe.checked import Recipe


def check_order(recipe: Recipe, previous: str | None) -> None:
    """Raise RecipeError if a phase cannot follow the one before; `previous` is the one before the first."""
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
    """Return after which phases the first can start, if it needs the agent of another run; else an empty list."""
    first = next(iter(recipe.phases.values())).cls
    follows = first.follows if isinstance(first, Follows) else (None,)
    return [] if None in follows else [phase for phase in follows if phase is not None]


def require_order(name: str, follows: Sequence[str | None], previous: str | None) -> None:
    """Raise MtrackError unless `previous` is among those that the phase `name` follows; None is the start of a run."""
    if previous in follows:
        return
    known = " or ".join(f"'{phase}'" for phase in follows if phase is not None)
    wanted = f"follow {known}" if known else "be first"
    if known and None in follows:
        wanted = f"be first or {wanted}"
    found = f"it follows '{previous}'" if previous else "it is first"
    remedy = "" if None in follows else f". Add {known} before it, or start from such a run with --from RUN"
    raise MtrackError(f"phase '{name}' must {wanted}, but {found}{remedy}")
