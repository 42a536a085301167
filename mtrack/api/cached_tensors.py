"""Tensors with a common leading dimension, and quantities that are derived from them when they are first read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, Self, TypeVar, overload

import attrs
from torch import Tensor

T = TypeVar("T")


class derived(Generic[T]):  # noqa: N801  used as a decorator
    """A property that is computed when it is first read, then cached until `CachedTensors.invalidate`."""

    def __init__(self, compute: Callable[[Any], T]) -> None:
        """Wrap the method that computes the quantity."""
        self.compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        """Keep the name of the property, the key of its value in the cache."""
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> Self | T:
        """Return the cached value; compute it first if necessary."""
        if instance is None:
            return self
        cache: dict[str, Any] = instance.cache  # type: ignore[attr-defined]
        if self.name not in cache:
            cache[self.name] = self.compute(instance)
        return cache[self.name]  # type: ignore[no-any-return]


@attrs.define(eq=False, slots=False, kw_only=True)
class CachedTensors:
    """A group of tensors whose first dimension is that of the environments, and quantities derived from them."""

    cache: dict[str, Any] = attrs.field(factory=dict, repr=False)

    def invalidate(self) -> None:
        """Discard all derived quantities, because the tensors have changed."""
        self.cache.clear()

    def update_envs(self, env_ids: Tensor, some: CachedTensors) -> None:
        """Update the derived quantities of the environments `env_ids`, int64 [n], whose tensors have changed.

        `some` holds the new tensors of these environments, [n, ...]. A reset of a few environments is cheap this way.
        Quantities that `some` has cached already are views of changed tensors, and need no update.
        """
        renewed = {self.cache[name].untyped_storage().data_ptr() for name in some.cache}
        for name, value in self.cache.items():
            storage = value.untyped_storage().data_ptr()
            if storage not in renewed:  # a view is cached after its base, and is up to date with it
                value.index_copy_(0, env_ids, getattr(some, name))
                renewed.add(storage)

    def put(self, env_ids: Tensor, some: CachedTensors) -> None:
        """Write the tensors of `some`, [n, ...], to the environments `env_ids`, int64 [n]; the inverse of `select`."""
        for field in attrs.fields(type(self)):
            value = getattr(self, field.name)
            if isinstance(value, Tensor):
                value.index_copy_(0, env_ids, getattr(some, field.name))
        self.invalidate()

    def select(self, env_ids: Tensor) -> Self:
        """Return a copy of the environments `env_ids`, int64 [n]."""
        kept: dict[str, Any] = {}
        for field in attrs.fields(type(self)):
            value = getattr(self, field.name)
            if isinstance(value, Tensor):
                kept[field.name] = value.index_select(0, env_ids)
            elif isinstance(value, CachedTensors):
                kept[field.name] = value.select(env_ids)
            elif field.name == "cache":
                continue
            elif isinstance(value, Mapping):
                kept[field.name] = {name: tensor.index_select(0, env_ids) for name, tensor in value.items()}
            else:
                kept[field.name] = value
        return type(self)(**kept)
