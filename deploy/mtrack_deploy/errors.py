"""The exception of this package: something the user can fix, explained in one message."""

from __future__ import annotations


class DeployError(Exception):
    """A policy, motion or reading that cannot be used; the message says what to do."""
