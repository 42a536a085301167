"""From things that change to tensors and JSON, and back: what a checkpoint is made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor

from mtrack.errors import CheckpointError
from mtrack.fields import fields_of

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
_TENSOR, _ITEMS, _TUPLE = "__tensor__", "__items__", "__tuple__"


def component_state(component: object) -> dict[str, Any]:
    """Return the `state()` fields of a component; generators and things with a state_dict as theirs."""
    return {field.name: _save(getattr(component, field.name)) for field in fields_of(type(component), "state")}


def load_component_state(component: object, state: Mapping[str, Any], path: str) -> None:
    """Put back what `component_state` returned. Raises CheckpointError naming `path` and what does not fit."""
    declared = {field.name for field in fields_of(type(component), "state")}
    if declared != set(state):
        changed = ", ".join(sorted(declared ^ set(state)))
        raise CheckpointError(f"{path}: the checkpoint and the installed component differ in their state: {changed}")
    for name, saved in state.items():
        setattr(component, name, _load(getattr(component, name), saved, f"{path}.{name}"))


def _save(value: Any) -> Any:
    if isinstance(value, torch.Generator):
        return value.get_state()
    if hasattr(value, "state_dict"):
        return value.state_dict()
    return value


def _load(present: Any, saved: Any, path: str) -> Any:
    if isinstance(present, torch.Generator):
        present.set_state(saved.cpu())
        return present
    if hasattr(present, "load_state_dict"):
        try:
            present.load_state_dict(saved)
        except (RuntimeError, ValueError, KeyError) as error:
            raise CheckpointError(f"{path}: {error}") from error
        return present
    if isinstance(present, Tensor):
        if not isinstance(saved, Tensor) or saved.shape != present.shape:
            shape = tuple(saved.shape) if isinstance(saved, Tensor) else saved
            raise CheckpointError(f"{path}: the checkpoint has shape {shape}, the run {tuple(present.shape)}")
        present.copy_(saved)  # keeps the storage that others may hold
        return present
    return saved


def flatten(tree: Any, tensors: dict[str, Tensor], name: str = "") -> Json:
    """Move every tensor of a nested structure into `tensors`, named by its place; return the rest as JSON."""
    if isinstance(tree, Tensor):
        tensors[name] = tree.detach().cpu().contiguous()
        return {_TENSOR: name}
    if isinstance(tree, Mapping):
        if all(isinstance(key, str) for key in tree):
            return {key: flatten(value, tensors, f"{name}.{key}") for key, value in tree.items()}
        return {_ITEMS: [[key, flatten(value, tensors, f"{name}.{key}")] for key, value in tree.items()]}
    if isinstance(tree, tuple):
        return {_TUPLE: [flatten(value, tensors, f"{name}.{i}") for i, value in enumerate(tree)]}
    if isinstance(tree, list):
        return [flatten(value, tensors, f"{name}.{i}") for i, value in enumerate(tree)]
    if tree is None or isinstance(tree, bool | int | float | str):
        return tree
    raise CheckpointError(f"{name}: a {type(tree).__name__} cannot be saved; keep tensors and plain values in state()")


def unflatten(tree: Json, tensors: Mapping[str, Tensor]) -> Any:
    """Undo `flatten`."""
    if isinstance(tree, list):
        return [unflatten(value, tensors) for value in tree]
    if isinstance(tree, dict):
        if _TENSOR in tree:
            return tensors[str(tree[_TENSOR])]
        if _ITEMS in tree:
            return dict(unflatten(tree[_ITEMS], tensors))
        if _TUPLE in tree:
            return tuple(unflatten(tree[_TUPLE], tensors))
        return {key: unflatten(value, tensors) for key, value in tree.items()}
    return tree
