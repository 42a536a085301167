"""The exception of this package: something the user can fix, explained in one message."""

from __future__ import annotations

_LONGEST = 2000


class DeployError(Exception):
    """A policy, motion or reading that cannot be used; the message says what to do."""


def brief(value: object) -> str:
    """Return a value as Python writes it, cut off if it is long."""
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text):,} characters)"
