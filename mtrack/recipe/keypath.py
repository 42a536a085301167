"""Parses TOML and dotted keys, and reads, nests and merges the values of tables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import tomli

from mtrack.errors import MtrackError

KeyPath = tuple[str, ...]
_PART = r"""(?:"[^"\n]*"|'[^'\n]*'|(?<![\w-])[\w-]++)"""
_DEEP_KEY = re.compile(rf"{_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{31}}")  # the parser takes minutes for very deep keys
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def parse(text: str) -> dict[str, Any]:
    """Parse TOML. Raises ValueError if it is invalid, and within a second even for hostile text."""
    deep = _DEEP_KEY.search(text)
    if deep is not None:
        raise ValueError(f"a key has more than 31 parts in line {text[: deep.start()].count(chr(10)) + 1}")
    try:
        return tomli.loads(text)
    except RecursionError:
        raise ValueError("tables or arrays are nested too deeply") from None


def parse_value(written: str) -> Any:
    """Parse the value after `KEY=`; text that is not TOML, such as `cpu`, is a string. Raises ValueError."""
    try:
        parsed = parse(f"value = {written}")
    except ValueError:
        if not written or written[0] in "[{\"'" or "\n" in written:
            raise
        return written
    if list(parsed) != ["value"]:
        raise ValueError("expected one value")
    return parsed["value"]


def split_path(path: str | KeyPath) -> KeyPath:
    """Split a dotted key, which may have quoted parts. Raises MtrackError if it is not a dotted key."""
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
    """Return a path as a dotted key, with parts quoted if necessary."""
    return ".".join(key if _BARE_KEY.fullmatch(key) else f'"{key}"' for key in path)


def value_at(data: Any, path: KeyPath) -> Any:
    """Return the value at a path in tables and arrays; None if it is missing."""
    for key in path:
        if isinstance(data, dict):
            data = data.get(key)
        elif isinstance(data, list) and key.isdigit() and int(key) < len(data):
            data = data[int(key)]
        else:
            return None
    return data


def nested(path: KeyPath, value: Any) -> dict[str, Any]:
    """Return nested tables with one value at a path of at least one key."""
    for key in reversed(path):
        value = {key: value}
    return dict(value)


def leaves(data: Any, depth: int, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Yield path and value of everything `depth` levels below `data`, whose own path is `path`."""
    if depth == 0:
        yield path, data
    else:
        for key, inner in data.items():
            yield from leaves(inner, depth - 1, (*path, key))


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge `over` into a copy of `base`: tables are merged, and other values are replaced."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = merge(below if isinstance(below, dict) else {}, value) if isinstance(value, dict) else value
    return merged
