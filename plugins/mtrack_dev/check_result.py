"""What the doctor finds."""

from __future__ import annotations

from typing import Literal

import attrs


@attrs.frozen
class Finding:
    """One thing looked at, and what to do about it."""

    status: Literal["ok", "note", "broken"]
    """`note`: works, but something is missing or slower than need be."""
    subject: str
    message: str
    remedy: str = ""
