"""Checks that files and copies of policy.json belong together."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtrack_deploy.contract import FREE
from mtrack_deploy.errors import DeployError, brief

_SHOWN = 10  # differences
Difference = tuple[str, Any, Any]
"""A field, its value here and its value there."""


def require_hash(file: Path, sha256: str, field: str) -> None:
    """Raise DeployError unless a file has the hash that a field of policy.json gives."""
    try:
        if file.exists() and not file.is_file():
            raise DeployError(f"{file} is not a file; export the policy again")
        found = hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise DeployError(f"cannot read {brief(str(file))}: {error.strerror}") from None
    if found != sha256:
        raise DeployError(f"{file} has changed: {field} is {sha256}, but its hash is {found}; export the policy again")


def differing(ours: Any, theirs: Any, where: str = "") -> list[Difference]:
    """Return fields, with both values, in which two contracts differ; fields of `FREE` are left out."""
    if where in FREE:
        return []
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        found = []
        for name in sorted({*ours, *theirs}):
            path = f"{where}.{name}" if where else name
            found += differing(ours.get(name), theirs.get(name), path)
        return found
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        pairs = enumerate(zip(ours, theirs, strict=True))
        return [difference for index, pair in pairs for difference in differing(*pair, f"{where}[{index}]")]
    return [] if ours == theirs and type(ours) is type(theirs) else [(where, ours, theirs)]


def describe_differences(differences: Sequence[Difference], there: str) -> str:
    """Return a line for each of the first differences, with both values."""
    lines = [f"  {field}: {brief(ours)}, but {brief(theirs)} {there}" for field, ours, theirs in differences[:_SHOWN]]
    more = [f"  ... and {len(differences) - _SHOWN} more"] if len(differences) > _SHOWN else []
    return "\n".join(lines + more)
