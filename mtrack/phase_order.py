"""Which phase can follow which: told before a run begins, since a later phase may come after days of training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mtrack.errors import MtrackError
from mtrack.lifecycle import Follows

if TYPE_CHECKING:
    from mtrack.structure import Recipe


def check_order(recipe: Recipe, previous: str | None) -> None:
    """Raise MtrackError where a phase of the recipe cannot follow the one before; `previous` is before the first."""
    for slot in recipe.phases.values():
        if isinstance(slot.cls, Follows):
            require_order(slot.entry.name, slot.cls.follows, previous)
        previous = slot.entry.name


def require_order(name: str, follows: Sequence[str | None], previous: str | None) -> None:
    """Raise MtrackError unless `previous` is among those that the phase `name` follows; None is the start of a run."""
    if previous in follows:
        return
    known = " or ".join(f"'{phase}'" for phase in follows if phase is not None)
    wanted = " or ".join(filter(None, ("at the start" * (None in follows), known and f"after {known}")))
    found = f"after '{previous}'" if previous else "at the start"
    remedy = "" if None in follows else f"; put {known} before it, or begin with the agent of such a phase: --from RUN"
    raise MtrackError(f"phase '{name}' begins {wanted}, not {found}{remedy}")
