"""Converts typed values back to TOML values; the inverse of `mtrack.registry.values`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from mtrack.api.schedule import Schedule


def plain(value: object) -> Any:  # noqa: PLR0911  one return for each type
    """Return a typed value as a TOML value; None if TOML has no such value."""
    if isinstance(value, Path):
        return str(value.absolute())
    if isinstance(value, Schedule):
        is_constant = value == Schedule.constant(value.start)
        return value.start if is_constant else {"from": value.start, "to": value.end, "shape": value.shape}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): plain(member) for key, member in value.items()}
    if isinstance(value, tuple | list):
        return [plain(member) for member in value]
    cls: type = type(value)
    if attrs.has(cls):
        members = {field.name: plain(getattr(value, field.name)) for field in attrs.fields(cls) if field.init}
        return {name: member for name, member in members.items() if member is not None}
    return value if isinstance(value, bool | int | float | str) else None
