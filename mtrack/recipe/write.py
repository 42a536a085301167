"""A checked recipe written out again: one TOML text that needs no other file, each value with where it came from."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs

from mtrack.api.kinds import TABLE_DEPTHS
from mtrack.api.schedule import Schedule
from mtrack.recipe.keypath import KeyPath, dotted, leaves

Table = dict[str, Any]


def plain(value: object) -> Any:  # noqa: PLR0911  one return a type
    """Return a typed value as TOML has it; None where TOML has no such value."""
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


def inline(value: object) -> str:
    """Return a value as TOML on one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{dotted((key,))} = {inline(member)}" for key, member in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(inline, value))}]"
    return repr(value) if isinstance(value, int | float) else str(value)


def to_toml(table: Table, origin: Callable[[KeyPath], str] = lambda path: "") -> str:
    """Return the text of a recipe, with the origin of each value as a comment; tables within a slot are inline."""
    lines = [_line((key,), value, origin) for key, value in table.items() if key not in TABLE_DEPTHS]
    for key, depth in TABLE_DEPTHS.items():
        if key in table:
            for path, slot in leaves(table[key], depth, (key,)):
                lines += ["", f"[{dotted(path)}]"]
                lines += [_line((*path, name), value, origin) for name, value in slot.items()]
    return "\n".join(lines) + "\n"


def _line(path: KeyPath, value: object, origin: Callable[[KeyPath], str]) -> str:
    comment = re.sub(r"[\x00-\x1f\x7f]", "?", origin(path))
    text = f"{dotted(path[-1:])} = {inline(value)}"
    return f"{text}  # {comment}" if comment else text
