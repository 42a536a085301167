"""Reads the manifests of runs and checkpoints, and rejects damaged ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtrack.errors import CheckpointError
from mtrack.run.checkpoint_facts import read_json_object, require_own_version

_SHAPES: dict[str, Any] = {
    "components": {str: str},
    "distributions": {str: str},
    "recipe_sha256": str,
    "local_files": {str: str},
    "processes": {"ranks": int, "threads": int},
    "code": {str: {"sha256": str, "supplies": [str]}},
    "values": dict,
    "contract": {
        "policy": {
            "control_dt": (int, float),
            "robot": {"joint_names": list, "sets": {str: list}},
            "command": dict,
            "action": dict,
            "agent": dict,
            "observations": {str: {str: {"use": str}}},
        },
        "widths": {str: int},
        "data": {str: {str: str}},
        "phase_keys": [str],
    },
}


def read_manifest(place: Path) -> dict[str, Any]:
    """Return the manifest of a run or checkpoint: the nearest one, up to that of the run, that names components.

    Raises CheckpointError if it is missing or damaged.
    """
    for file in (folder / "manifest.json" for folder in (place, *place.absolute().parents[:2])):
        facts = read_json_object(file) if file.is_file() else {}
        if "components" in facts:
            require_own_version(place, facts)
            require_shape(file, facts)
            return facts
    raise CheckpointError(f"{place} is not a run or checkpoint: a manifest.json that names its components is missing")


def require_shape(file: Path, facts: Mapping[str, Any], *, with_contract: bool = False) -> None:
    """Raise CheckpointError naming the first key of a manifest that does not have the expected form.

    A run has no contract before its first phase is assembled; a checkpoint always has one.
    """
    for key, shape in _SHAPES.items():
        is_optional = key == "local_files" or (key == "contract" and not with_contract)
        if is_optional and key not in facts:
            continue
        wrong = _wrong_key(facts.get(key), shape, (key,))
        if wrong:
            raise CheckpointError(f"{file} is damaged: '{wrong}' is missing or of a wrong type")


def _wrong_key(value: Any, shape: Any, path: Sequence[str]) -> str:
    """Return the dotted path of the first value that does not have a shape, or nothing."""
    name = ".".join(path)
    if isinstance(shape, list):
        return "" if isinstance(value, list) and all(isinstance(member, shape[0]) for member in value) else name
    if not isinstance(shape, dict):
        is_number_as_bool = isinstance(value, bool) and shape is not bool
        return name if not isinstance(value, shape) or is_number_as_bool else ""
    if not isinstance(value, dict):
        return name
    members = [(key, shape[str]) for key in value] if str in shape else list(shape.items())
    wrong = (_wrong_key(value.get(key), inner, (*path, key)) for key, inner in members)
    return next(filter(None, wrong), "")
