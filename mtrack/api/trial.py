"""Tells components whether a phase is only being tried before a run starts (`mtrack.trial`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_is_trial = False


def is_trial() -> bool:
    """Return whether this is a short trial with few environments, for which compiling or caching is a waste of time."""
    return _is_trial


@contextmanager
def trial() -> Iterator[None]:
    """Make `is_trial` return True inside the `with` block."""
    global _is_trial  # noqa: PLW0603  plugins read it through is_trial()
    _is_trial = True
    try:
        yield
    finally:
        _is_trial = False
