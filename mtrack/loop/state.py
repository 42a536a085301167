"""The state of components as tensors and JSON, and back: what a checkpoint holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor

from mtrack.api.fields import fields_of
from mtrack.errors import CheckpointError, ComponentError
from mtrack.recipe.slots import Slot

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
_TENSOR, _ITEMS, _TUPLE = "__tensor__", "__items__", "__tuple__"
_MARKS = {_TENSOR, _ITEMS, _TUPLE}


def component_state(component: object) -> dict[str, Any]:
    """Return the `state()` fields of a component; generators and things with a state_dict as theirs."""
    return {field.name: _save(getattr(component, field.name)) for field in fields_of(type(component), "state")}


def load_component_state(component: object, state: Mapping[str, Any], path: str) -> None:
    """Restore what `component_state` returned. Raises CheckpointError naming `path` and what does not fit."""
    if not isinstance(state, Mapping):
        raise CheckpointError(f"{path}: expected a table of its state, found {_shown(state)}")
    declared = {field.name: str(field.type) for field in fields_of(type(component), "state")}
    if declared.keys() != set(state):
        changed = ", ".join(sorted(declared.keys() ^ set(state)))
        raise CheckpointError(f"{path}: the checkpoint and the installed component differ in their state: {changed}")
    for name, saved in state.items():
        present = getattr(component, name)
        if saved is None and any(word in declared[name] for word in ("None", "Optional", "Any")):
            setattr(component, name, None)
        else:
            setattr(component, name, _load(present, saved, f"{path}.{name}"))


def require_like(present: Any, saved: Any, path: str) -> None:
    """Raise CheckpointError if a saved value, or one inside it, is of another type than what it replaces.

    Tables and lists are compared as far as both sides have the same keys; None may become anything.
    """
    if isinstance(present, Mapping):
        fits = isinstance(saved, Mapping)
        inner = [(present[key], saved[key], f"{path}.{key}") for key in present if key in saved] if fits else []
    elif isinstance(present, list | tuple):
        fits = isinstance(saved, list | tuple) and isinstance(present, tuple) == isinstance(saved, tuple)
        fits = fits and (isinstance(present, list) or len(present) == len(saved))
        inner = [(a, b, f"{path}.{i}") for i, (a, b) in enumerate(zip(present, saved, strict=False))] if fits else []
    else:
        fits, inner = present is None or _is_like(present, saved), []
    if not fits:
        raise CheckpointError(f"{path}: expected {type(present).__name__}, found {_shown(saved)}")
    for one, other, below in inner:
        require_like(one, other, below)


def _is_like(present: Any, saved: Any) -> bool:
    """Return whether both are numbers, texts or tensors; a number may turn from int to float in a run."""
    kinds: tuple[Any, ...] = (int | float, str, Tensor)
    return all(isinstance(saved, kind) for kind in kinds if isinstance(present, kind))


def _shown(value: object) -> str:
    return f"a tensor {tuple(value.shape)}" if isinstance(value, Tensor) else f"{value!r:.60}"


def _save(value: Any) -> Any:
    if isinstance(value, torch.Generator):
        return value.get_state()
    if hasattr(value, "state_dict"):
        return value.state_dict()
    return value


def _load(present: Any, saved: Any, path: str) -> Any:
    if isinstance(present, torch.Generator) or hasattr(present, "load_state_dict"):
        if isinstance(present, torch.optim.Optimizer):
            _require_optimizer_state(present, saved, path)
        else:
            require_like(_save(present), saved, path)
        try:
            if isinstance(present, torch.Generator):
                present.set_state(saved.cpu())
            else:
                present.load_state_dict(saved)
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error}") from error
        except Exception as error:  # a class may raise anything for a state that is not its own
            raise CheckpointError(f"{path}: {type(error).__name__}: {error}") from error
        return present
    if isinstance(present, Tensor):
        if not isinstance(saved, Tensor) or saved.shape != present.shape:
            shape = tuple(saved.shape) if isinstance(saved, Tensor) else saved
            raise CheckpointError(f"{path}: the checkpoint has shape {shape}, the run {tuple(present.shape)}")
        present.copy_(saved)  # keeps the storage that others may hold
        return present
    require_like(present, saved, path)
    return saved


def _require_optimizer_state(optimizer: torch.optim.Optimizer, saved: Any, path: str) -> None:
    """Raise CheckpointError if a state is not that of this optimizer: torch accepts anything, and fails later."""
    own = optimizer.state_dict()
    require_like(own, saved, path)
    missing = [key for key in own if key not in saved]
    groups = list(zip(own["param_groups"], saved.get("param_groups", ()), strict=False))
    for number, (group, other) in enumerate(groups):
        missing += [f"param_groups.{number}.{key}" for key in group if key not in other]
        unset = [key for key, value in group.items() if value is None and other.get(key) is not None]
        if unset or group["params"] != other.get("params"):
            changed = ", ".join(unset or ["params"])
            raise CheckpointError(f"{path}.param_groups.{number}: {changed} is not that of this optimizer")
    if missing or len(groups) != len(own["param_groups"]):
        raise CheckpointError(f"{path}: missing {', '.join(missing) or 'param_groups'}")
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    first: Mapping[str, Any] | None = None
    for index, values in saved["state"].items():
        where = f"{path}.state.{index}"
        if not isinstance(index, int) or index not in range(len(parameters)) or not isinstance(values, Mapping):
            raise CheckpointError(f"{where}: not the state of one of its {len(parameters)} parameters")
        first = values if first is None else first
        if values.keys() != first.keys():
            raise CheckpointError(f"{where}: has {', '.join(values)}, another parameter has {', '.join(first)}")
        for key, value in values.items():
            is_tensor, shape = isinstance(value, Tensor), parameters[index].shape
            if is_tensor != isinstance(first[key], Tensor) or (is_tensor and value.dim() and value.shape != shape):
                raise CheckpointError(f"{where}.{key}: does not fit a parameter of shape {tuple(shape)}")


def flatten(tree: Any, tensors: dict[str, Tensor], name: str = "") -> Json:
    """Move every tensor of a nested structure into `tensors`, named by its path; return the rest as JSON.

    Raises CheckpointError naming what JSON cannot hold.
    """
    if isinstance(tree, Tensor):
        if name in tensors:
            raise CheckpointError(f"{name}: two tensors have this path; a key with a dot in it is ambiguous here")
        tensors[name] = tree.detach().cpu().contiguous()
        return {_TENSOR: name}
    if isinstance(tree, Mapping):
        if not all(key is None or isinstance(key, bool | int | float | str) for key in tree):
            raise CheckpointError(f"{name}: only strings and numbers can be keys")
        if all(isinstance(key, str) for key in tree) and not _MARKS & tree.keys():
            return {key: flatten(value, tensors, f"{name}.{key}") for key, value in tree.items()}
        return {_ITEMS: [[key, flatten(value, tensors, f"{name}.{key}")] for key, value in tree.items()]}
    if isinstance(tree, tuple):
        return {_TUPLE: [flatten(value, tensors, f"{name}.{i}") for i, value in enumerate(tree)]}
    if isinstance(tree, list):
        return [flatten(value, tensors, f"{name}.{i}") for i, value in enumerate(tree)]
    if tree is None or isinstance(tree, bool | int | float | str):
        return tree
    raise CheckpointError(f"{name}: a {type(tree).__name__} cannot be saved; keep tensors and plain values in state()")


def unflatten(tree: Json, tensors: Mapping[str, Tensor], name: str = "") -> Any:
    """Undo `flatten` of the same name. Raises CheckpointError naming the path that is not as `flatten` wrote it."""
    used: set[str] = set()
    whole = _unflatten(tree, tensors, name, used)
    if set(tensors) - used:
        raise CheckpointError(f"'{min(set(tensors) - used)}' is missing, although its tensor is there")
    return whole


def _unflatten(tree: Json, tensors: Mapping[str, Tensor], name: str, used: set[str]) -> Any:
    if isinstance(tree, list):
        return [_unflatten(value, tensors, f"{name}.{i}", used) for i, value in enumerate(tree)]
    if not isinstance(tree, dict):
        return tree
    marks = _MARKS & tree.keys()
    if not marks:
        return {key: _unflatten(value, tensors, f"{name}.{key}", used) for key, value in tree.items()}
    value = tree[min(marks)]
    if len(tree) == 1 and value == name and name in tensors and _TENSOR in marks:
        used.add(name)
        return tensors[name]
    if len(tree) == 1 and isinstance(value, list) and _TUPLE in marks:
        return tuple(_unflatten(item, tensors, f"{name}.{i}", used) for i, item in enumerate(value))
    if len(tree) == 1 and isinstance(value, list) and _ITEMS in marks and all(map(_is_item, value)):
        return {item[0]: _unflatten(item[1], tensors, f"{name}.{item[0]}", used) for item in value}  # type: ignore[index]
    raise CheckpointError(f"'{name}' is {tree!r:.60}, which is not the format of a checkpoint")


def _is_item(item: Json) -> bool:
    return isinstance(item, list) and len(item) == 2 and not isinstance(item[0], list | dict)


def require_savable(slot: Slot, component: object) -> None:
    """Save and load the state of a component in memory. Raises ComponentError naming the field that cannot be saved."""
    try:
        tensors: dict[str, Tensor] = {}
        tree = flatten(component_state(component), tensors, slot.path)
        load_component_state(component, unflatten(json.loads(json.dumps(tree)), tensors, slot.path), slot.path)
    except (CheckpointError, TypeError, ValueError) as error:
        raise ComponentError(f"{slot}: its state cannot be saved and loaded: {error}") from error
