"""Writes recipes as TOML, with the origin of each value as a comment."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from mtrack.api.kinds import TABLE_DEPTHS
from mtrack.recipe.keypath import KeyPath, dotted, leaves

Table = dict[str, Any]


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
    """Return a recipe as TOML, with the origin of each value as a comment; tables within a slot are inline."""
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
