"""The result of one check of `mtrack doctor`."""

from __future__ import annotations

from typing import Literal

import attrs

Status = Literal["ok", "note", "problem"]


@attrs.frozen
class CheckResult:
    """The result of one check, and how to fix it."""

    status: Status
    """`note`: it works, but something is missing or slower than necessary."""
    subject: str
    """What was checked."""
    message: str
    remedy: str = ""
