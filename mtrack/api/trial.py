"""Whether the present calls belong to the careful first step of a run (`mtrack.trial`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_is_trial = False


def is_trial() -> bool:
    """Return whether a phase is only being tried, with a few environments: nothing needs to be compiled or cached."""
    return _is_trial


@contextmanager
def trial() -> Iterator[None]:
    """While entered, `is_trial` returns True."""
    global _is_trial  # noqa: PLW0603  plugins ask for it with is_trial()
    _is_trial = True
    try:
        yield
    finally:
        _is_trial = False
