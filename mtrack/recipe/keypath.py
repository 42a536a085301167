"""Keys of nested tables: TOML text to tables, dotted keys to paths and back, values at paths."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import tomli

from mtrack.errors import MtrackError

KeyPath = tuple[str, ...]
_PART = r"""(?:"[^"\n]*"|'[^'\n]*'|(?<![\w-])[\w-]++)"""
_DEEP_KEY = re.compile(rf"{_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{31}}")  # the parser needs minutes for very deep keys
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def parse(text: str) -> dict[str, Any]:
    """Parse TOML. Raises ValueError for everything that is wrong with it, soon."""
    deep = _DEEP_KEY.search(text)
    if deep is not None:
        raise ValueError(f"a key of more than 31 parts in line {text[: deep.start()].count(chr(10)) + 1}")
    try:
        return tomli.loads(text)
    except RecursionError:
        raise ValueError("tables or arrays are nested too deeply") from None


def parse_value(written: str) -> Any:
    """Return the value that a user wrote after `KEY=`; what is not TOML is a string (`cpu`). Raises ValueError."""
    try:
        parsed = parse(f"value = {written}")
    except ValueError:
        if not written or written[0] in "[{\"'" or "\n" in written:
            raise
        return written
    if list(parsed) != ["value"]:
        raise ValueError("one value is wanted")
    return parsed["value"]


def split_path(path: str | KeyPath) -> KeyPath:
    """Return the keys of a dotted path, quoted ones included. Raises MtrackError where it is none."""
    if not isinstance(path, str):
        return path
    try:
        data: Any = parse(f"{path} = 0")
    except ValueError:
        data = {}
    keys: list[str] = []
    while isinstance(data, dict) and len(data) == 1:
        ((key, data),) = data.items()
        keys.append(key)
    if data != 0:
        raise MtrackError(f"'{path}' is not a dotted key")
    return tuple(keys)


def dotted(path: KeyPath) -> str:
    """Return a path as recipes write it."""
    return ".".join(key if _BARE_KEY.fullmatch(key) else f'"{key}"' for key in path)


def value_at(data: Any, path: KeyPath) -> Any:
    """Return the value at a path in tables and arrays, or None."""
    for key in path:
        if isinstance(data, dict):
            data = data.get(key)
        elif isinstance(data, list) and key.isdigit() and int(key) < len(data):
            data = data[int(key)]
        else:
            return None
    return data


def nested(path: KeyPath, value: Any) -> dict[str, Any]:
    """Return tables in tables with one value at a path, which has at least one key."""
    for key in reversed(path):
        value = {key: value}
    return dict(value)


def leaves(data: Any, depth: int, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Yield path and value of everything `depth` levels down in nested tables; `path` is that of `data`."""
    if depth == 0:
        yield path, data
    else:
        for key, inner in data.items():
            yield from leaves(inner, depth - 1, (*path, key))


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `over` laid over it; tables merge, anything else replaces."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = merge(below if isinstance(below, dict) else {}, value) if isinstance(value, dict) else value
    return merged
