"""Names the number of environments if a run does not get the memory that they need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mtrack.errors import RunError
from mtrack.recipe.checked import Recipe
from mtrack.recipe.slots import PhaseSlot

_SIGNS = ("allocate memory", "out of memory", "bad_alloc", "could not allocate", "Storage size calculation overflowed")
"""What torch, CUDA, C++ and MuJoCo write; their exceptions have several types."""


@contextmanager
def naming_num_envs(recipe: Recipe, slot: PhaseSlot) -> Iterator[None]:
    """Run code of a phase that allocates memory for its environments. Raises RunError if there is not enough of it."""
    try:
        yield
    except Exception as error:
        reason = _lack_of_memory(error)
        if not reason:
            raise
        phase = slot.path.partition(".")[2]
        raise RunError(
            f"not enough memory for {recipe.num_envs:,} environments (num_envs) with {slot.train_every} steps per "
            f"rollout (phases.{phase}.train_every): {reason}\n"
            f"  lower num_envs, e.g. --set num_envs={max(1, recipe.num_envs // 2)}, or train_every"
        ) from error


def _lack_of_memory(error: BaseException | None) -> str:
    """Return the message of the error, or of one that caused it, that says that there is too little memory; else ""."""
    while error is not None:
        text = str(error)
        if isinstance(error, MemoryError) or any(sign in text for sign in _SIGNS):
            return text.splitlines()[0] if text else "MemoryError"
        error = error.__cause__
    return ""
