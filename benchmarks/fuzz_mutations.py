"""Random damage for the fuzzer: of bytes, of JSON trees, and of TOML text."""

from __future__ import annotations

import copy
import json
import math
import random
from collections.abc import Iterator
from typing import Any

DEEP: Any = 0
for _ in range(200):
    DEEP = [DEEP]
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 7, 2**31, 2**63, -(2**63), 2**64, 10**30),
    *(0.5, -0.0, 1e-320, 1e30, 1e308, math.inf, -math.inf, math.nan),
    *("", "x", "\0", "a/b", "../../../etc/passwd", "/dev/null", "/dev/zero", "é" * 50, "x" * 20_000, "%s{0}"),
    *([], [[]], [0.0], [None], ["x"], list(range(300)), DEEP),
    *({}, {"x": {}}, {"use": "x"}, {"__tensor__": "x"}, {"__items__": [1]}, {"__tuple__": [[]]}),
)
_NUMBERS = (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\xff" * 8, b"\0" * 8, b"\0\0\0\0\1\0\0\0")
_TOML_VALUES = (
    *("inf", "-inf", "nan", "1e400", "1e-320", "-1", "0", "10_000_000_000_000_000_000_000", "true", '""', '"x"'),
    *("[]", "[[]]", "{}", '{ use = "x" }', "[inf]", "[1, 2, 3]", "1979-05-27", "1979-05-27T00:32:00.999999-07:00"),
    *('"../../../etc/passwd"', '"/dev/zero"', '"\\u0000"', "[" * 100 + "]" * 100, '"""' + "x" * 5000 + '"""', "0x7f"),
    *('{ from = 1, to = inf, shape = "exp" }', "{ a.b.c.d = 1 }", "=", "# no value", "'\\d+'"),
)
_TOML_LINES = (
    *('extends = "toy"', 'extends = "../../../../etc/passwd"', "extends = []", 'extends = "/dev/zero"', "[run]"),
    *(
        "[run.best]",
        "[phases.train.set]",
        '"num_envs" = 1',
        "[rewards]",
        "[[rewards.toy]]",
        "[a]\nb = 1\n[a.b]",
        "\t\0",
    ),
    *("a." * 40 + "a = 1", "[" + "a." * 40 + "a]", 'use = "mtrack:toy_error"', "enabled = false", "[phases.second]"),
)


def damage_bytes(content: bytes, rng: random.Random) -> bytes:
    """Return content with one to four changes: other bytes, or slices cut, repeated, inserted or exchanged."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(data) + 1)
        size = rng.choice((1, 1, 2, 4, 8, 30, 300))
        change = rng.randrange(7)
        if change == 0 and data:
            data[start % len(data)] ^= 1 << rng.randrange(8)
        elif change == 1:
            del data[start : start + size]
        elif change == 2:
            data[start:start] = data[start : start + size]
        elif change == 3:
            data[start : start + size] = rng.randbytes(size)
        elif change == 4:
            number = rng.choice(_NUMBERS)
            data[start : start + len(number)] = number
        elif change == 5:
            del data[start:]
        else:
            other = rng.randrange(len(data) + 1)
            data[start : start + size], data[other : other + size] = (
                data[other : other + size],
                data[start : start + size],
            )
    return bytes(data)


def damage_tree(tree: Any, rng: random.Random, among: tuple[Any, ...] = VALUES) -> Any:
    """Return a copy of a JSON tree with one or two members replaced, removed, renamed, repeated or exchanged."""
    new = copy.deepcopy(tree)
    for _ in range(rng.choice((1, 1, 2))):
        paths = list(paths_in(new))
        if not paths:
            return rng.choice(among)
        shallow = [path for path in paths if len(path) <= 2]  # long lists would hide them
        holder, key = holder_of(new, rng.choice(shallow if rng.random() < 0.5 else paths))
        change = rng.randrange(6)
        if change <= 2:
            holder[key] = copy.deepcopy(rng.choice(among))
        elif change == 3:
            del holder[key]
        elif change == 4:
            other, place = holder_of(new, rng.choice(paths))
            holder[key] = copy.deepcopy(other[place]) if place in _keys(other) else None
        elif isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        else:
            holder[rng.choice(("x", "", f"{key} ", "use", "__tensor__"))] = holder.pop(key)
    return new


def damage_json(content: bytes, rng: random.Random) -> bytes:
    """Return a JSON file with a damaged tree, or with damaged bytes."""
    if rng.random() < 0.15:
        return damage_bytes(content, rng)
    return json.dumps(damage_tree(json.loads(content), rng)).encode("utf-8", "surrogatepass")


def damage_toml(text: str, rng: random.Random) -> bytes:
    """Return TOML text with lines that are removed, repeated, exchanged, new, or that have other keys and values."""
    if rng.random() < 0.1:
        return damage_bytes(text.encode(), rng)
    lines = text.splitlines()
    for _ in range(rng.randint(1, 3)):
        number = rng.randrange(len(lines))
        key, equals, value = lines[number].partition("=")
        change = rng.randrange(8)
        if change <= 3 and equals:
            lines[number] = f"{key}= {rng.choice(_TOML_VALUES)}"
        elif change == 4:
            lines.insert(number, rng.choice(_TOML_LINES))
        elif change == 5:
            del lines[number]
            lines = lines or ["x = 1"]
        elif change == 6:
            lines.insert(rng.randrange(len(lines) + 1), lines[number])
        else:
            lines[number] = f"{key.rstrip()}x ={value}" if equals else lines[number].replace("]", "x]")
    return "\n".join(lines).encode()


def paths_in(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every key and item of a JSON tree."""
    for key in _keys(tree):
        yield (*path, key)
        yield from paths_in(tree[key], (*path, key))


def holder_of(tree: Any, path: tuple[Any, ...]) -> tuple[Any, Any]:
    """Return the table or list at the end of a path that still exists, and a key in it."""
    for key in path[:-1]:
        if key not in _keys(tree) or not _keys(tree[key]):
            break
        tree = tree[key]
    keys = _keys(tree)
    return tree, path[-1] if path[-1] in keys else keys[0]


def _keys(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        return list(tree)
    return list(range(len(tree))) if isinstance(tree, list) and len(tree) < 1000 else []
