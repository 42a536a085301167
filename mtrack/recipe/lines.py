"""Finds the line of each key of a recipe, for messages, because the TOML parser does not keep positions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import tomli

from mtrack.recipe.keypath import KeyPath

_LONGEST_STATEMENT = 200  # lines; after a longer statement a recipe gets no line numbers


def key_lines(text: str) -> dict[KeyPath, int]:
    """Return the line, counted from 1, on which each key and table of a valid TOML text first appears.

    A statement is the shortest sequence of lines after the previous statement that can be parsed.
    """
    found: dict[KeyPath, int] = {}
    table: KeyPath = ()
    statement: list[str] = []
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        statement.append(line)
        try:
            parsed = tomli.loads("\n".join(statement))
        except ValueError:
            if len(statement) > _LONGEST_STATEMENT:
                break
            continue
        is_header = line.lstrip().startswith("[") and len(statement) == 1
        if is_header:
            table = ()
        paths = list(_paths(parsed, table))
        for path in paths:
            for length in range(len(table) + 1, len(path) + 1):
                found.setdefault(path[:length], number - len(statement) + 1)
        if is_header:
            table = max(paths, key=len)
        statement = []
    return found


def _paths(value: Any, above: KeyPath) -> Iterator[KeyPath]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*above, key)
            yield from _paths(inner, (*above, key))
    elif isinstance(value, list):
        for inner in value:
            yield from _paths(inner, above)
