"""Watches what a component must not change in a call: the scene, its parameters, the global random generators."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import attrs
import numpy as np
import torch
from torch import Tensor

from mtrack import RobotModel, Scene
from mtrack.api.cached_tensors import CachedTensors, derived
from mtrack.api.fields import fields_of
from mtrack_testing.promises import ComponentUnderTest

# what it is the purpose of some kinds to change
_MAY_CHANGE = {"randomization": ("robot.joint_offset", "extras"), "command": ("reference", "extras")}


@contextmanager
def watched(subject: ComponentUnderTest, component: object, scene: Scene) -> Iterator[None]:
    """Raise BrokenPromise if something that is not the component's own has changed on exit.

    Derived quantities of the scene, which all components share, are computed first and watched too.
    """
    before = {name: value.clone() for name, value in shown(scene, derive=True).items()}
    params = {field.name: deepcopy(getattr(component, field.name)) for field in fields_of(subject.cls, "param")}
    with no_global_draws(subject):
        yield
    after = shown(scene)
    for name, value in before.items():
        allowed = name.startswith(_MAY_CHANGE.get(subject.kind, ("-",)))
        if not allowed and name in after and not same(value, after[name]):
            subject.fail(
                "read-only scene",
                f"it has changed scene.{name} in place",
                "work on a copy: x = x.clone(), or x * y instead of x.mul_(y)",
            )
    for name, value in params.items():
        if repr(value) != repr(getattr(component, name)):
            subject.fail(
                "fixed parameters", f"it has changed its own parameter '{name}'", f"copy '{name}' into a state() field"
            )


@contextmanager
def no_global_draws(subject: ComponentUnderTest) -> Iterator[None]:
    """Raise BrokenPromise if a global random generator was used or seeded meanwhile."""
    before = _global_generators()
    yield
    for name, value in _global_generators().items():
        if value != before[name]:
            subject.fail(
                "own randomness",
                f"it uses the global generator of {name}, which every other component shares",
                "declare rng: torch.Generator = state(), which mtrack seeds, and draw with generator=self.rng",
            )


def shown(scene: Scene, *, derive: bool = False) -> dict[str, Tensor]:
    """Return every tensor of a scene by name; with `derive`, compute the derived ones first."""
    holders: dict[str, Any] = {
        "": scene,
        "robot.": scene.robot,
        "reference.": scene.reference,
        "reference.future.": scene.reference.future,
        "contacts.": scene.contacts,
    }
    found: dict[str, Tensor] = {}
    for place, holder in holders.items():
        if derive:
            for name in _derived_names(type(holder)):
                getattr(holder, name)
        cached = {name: value for name, value in holder.cache.items() if isinstance(value, Tensor)}
        found |= {f"{place}{name}": value for name, value in {**own_tensors(holder), **cached}.items()}
    found |= {f"extras.{name}": value for name, value in scene.extras.items()}
    return found | {f"model.{name}": value for name, value in own_tensors(scene.model).items()}


def own_tensors(holder: CachedTensors | RobotModel) -> dict[str, Tensor]:
    """Return the tensor fields of a part of the scene or of a robot model, by name."""
    values = {field.name: getattr(holder, field.name) for field in attrs.fields(type(holder))}
    return {name: value for name, value in values.items() if isinstance(value, Tensor)}


def same(one: Tensor, other: Tensor) -> bool:
    """Return whether two tensors are equal bit for bit, NaN included."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return torch.equal(one, other) or bool(((one == other) | (one.isnan() & other.isnan())).all())


def close(one: Tensor, other: Tensor, tolerance: float) -> bool:
    """Return whether two tensors are equal within a tolerance, relative and absolute."""
    if one.shape != other.shape:
        return False
    return torch.allclose(one.double(), other.double(), rtol=tolerance, atol=tolerance, equal_nan=True)


def _derived_names(cls: type) -> list[str]:
    return [name for base in cls.__mro__ for name, value in vars(base).items() if isinstance(value, derived)]


def _global_generators() -> dict[str, object]:
    _, key, position, *_ = np.random.get_state()  # noqa: NPY002  it watches the global one
    return {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": (np.asarray(key).tobytes(), position),
        "python": random.getstate(),
    }
