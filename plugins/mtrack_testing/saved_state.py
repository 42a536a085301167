"""Saves and restores a component as a checkpoint does."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from torch import Tensor

from mtrack import CheckpointError
from mtrack.loop.state import component_state, flatten, load_component_state, unflatten
from mtrack_testing.promises import ComponentUnderTest

SavedState = tuple[Any, dict[str, Tensor]]


def saved(subject: ComponentUnderTest, component: object) -> SavedState:
    """Return the state of a component as a checkpoint stores it. Raises BrokenPromise if it cannot be stored."""
    tensors: dict[str, Tensor] = {}
    try:
        tree = flatten(component_state(component), tensors)
    except CheckpointError as error:
        subject.fail("checkpoint", str(error), "keep tensors, numbers, generators and modules in state()")
    return tree, {name: value.clone() for name, value in tensors.items()}


def restore(subject: ComponentUnderTest, component: object, state: SavedState) -> None:
    """Put a component into a saved state. Raises BrokenPromise if that fails."""
    tree, tensors = state
    with subject.guard_call("checkpoint"):
        load_component_state(component, deepcopy(unflatten(tree, tensors)), subject.cls.__qualname__)
