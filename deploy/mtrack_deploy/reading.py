"""Reads policy.json strictly: a missing or unknown field, or one of another type, is an error that names the field."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path, PurePosixPath
from typing import Any, get_args, get_origin, get_type_hints

from mtrack_deploy.contract import SCHEMA_VERSION, Contract
from mtrack_deploy.errors import DeployError, brief

_LARGEST = 1e9
"""No quantity of a robot, in SI units, is larger."""
_SMALLEST = 1e-30  # the runtime computes with float32, in which much smaller numbers are 0


def read_contract(path: Path) -> tuple[Contract, dict[str, Any]]:
    """Return the contract in a file, and the file's plain JSON. Raises DeployError."""
    try:
        plain = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise DeployError(f"cannot read {path}: {error.strerror}; `mtrack export RUN -o DIR` writes it") from None
    except (ValueError, RecursionError) as error:
        raise DeployError(f"{path} is not JSON ({error}); export the policy again") from None
    version = plain.get("schema_version") if isinstance(plain, dict) else None
    if version != SCHEMA_VERSION:
        raise DeployError(f"{path}: schema_version is {brief(version)}, but this mtrack_deploy reads {SCHEMA_VERSION}")
    try:
        contract: Contract = _structured(Contract, plain, "")
        for field, name in _files(contract):
            if not _is_in_folder(name):
                raise DeployError(f"{field} is {brief(name)}; expected a file in the same folder")
    except DeployError as error:
        raise DeployError(f"{path}: {error}") from None
    return contract, plain


def _structured(kind: Any, value: Any, where: str) -> Any:
    """Return a JSON value as a type of the contract. Raises DeployError."""
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise DeployError(f"{where or 'the file'} must be an object, not {brief(value)}")
        hints = get_type_hints(kind)
        for name in [*(set(hints) - set(value)), *(set(value) - set(hints))]:
            what = "is missing" if name in hints else "is unknown"
            raise DeployError(f"field '{_join(where, name)}' {what}; export the policy again with this version")
        return kind(**{name: _structured(hint, value[name], _join(where, name)) for name, hint in hints.items()})
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is list and isinstance(value, list):
        return [_structured(arguments[0], member, f"{where}[{index}]") for index, member in enumerate(value)]
    if origin is dict and isinstance(value, dict):
        return {key: _structured(arguments[1], member, _join(where, key)) for key, member in value.items()}
    if kind is Any:
        return value
    if kind is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        if not abs(value) <= _LARGEST:
            raise DeployError(f"field '{where}' is {brief(value)}; expected a number of at most {_LARGEST:g}")
        return float(value) if abs(value) >= _SMALLEST else 0.0
    if isinstance(kind, type) and isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    raise DeployError(f"field '{where}' is {brief(value)}; expected {getattr(origin or kind, '__name__', kind)}")


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _files(contract: Contract) -> list[tuple[str, str]]:
    """Return the fields that name files, with the names."""
    motions = [(f"motions[{index}].file", motion.file) for index, motion in enumerate(contract.motions)]
    others = {
        "policy.file": contract.policy.file,
        "robot.model_file": contract.robot.model_file,
        "golden_trace.file": contract.golden_trace.file,
    }
    return [*others.items(), *motions]


def _is_in_folder(name: str) -> bool:
    """Return whether a name is that of a file in the folder of policy.json, on any system."""
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and not {*name} & {"\\", ":", "\0"}
