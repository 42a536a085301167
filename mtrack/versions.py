"""Whether a version meets conditions, as far as plain release numbers tell."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import metadata
from operator import eq, ge, gt, le, lt, ne

_OPERATORS = {">=": ge, ">": gt, "<=": le, "<": lt, "==": eq, "!=": ne}


def fits(version: str, conditions: str) -> bool:
    """Return whether a version meets conditions like `>=3.17,!=4.0.0`."""
    have = _numbers(version)
    pairs = re.findall(r"(>=|<=|==|!=|>|<)\s*([\w.]+)", conditions)
    return all(_OPERATORS[sign](have, _numbers(wanted)) for sign, wanted in pairs)


def unmet(requirements: Iterable[str], distribution: str) -> str:
    """Return what metadata require of an installed distribution that it is not, e.g. `mtrack >=0.2`, or nothing."""
    pattern = re.compile(rf"{distribution}(?![\w.-])\s*(?:\[[^]]*\])?\s*\(?([^;)]*)(.*)", re.IGNORECASE)
    for match in filter(None, map(pattern.match, requirements)):
        conditions, marker = match[1].strip(), match[2]
        if conditions and "extra" not in marker and not fits(metadata.version(distribution), conditions):
            return f"{distribution} {conditions}"
    return ""


def _numbers(version: str) -> tuple[int, ...]:
    """Return the release numbers, without trailing zeros: 2.13.0+cpu and 2.13 are the same."""
    release = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, re.sub(r"(\.0+)+$", "", release[0]).split("."))) if release else ()
