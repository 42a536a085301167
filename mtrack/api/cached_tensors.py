"""Tensors of N environments that belong together, and what is derived from them on first use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, Self, TypeVar, overload

import attrs
from torch import Tensor

T = TypeVar("T")


class derived(Generic[T]):  # noqa: N801  used as a decorator
    """A quantity computed on first use and kept until `invalidate`."""

    def __init__(self, compute: Callable[[Any], T]) -> None:
        """Wrap the method that computes the quantity."""
        self.compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        """Remember the name under which the value is kept."""
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> Self | T:
        """Return the kept value, computing it first if needed."""
        if instance is None:
            return self
        cache: dict[str, Any] = instance.cache  # type: ignore[attr-defined]
        if self.name not in cache:
            cache[self.name] = self.compute(instance)
        return cache[self.name]  # type: ignore[no-any-return]


@attrs.define(eq=False, slots=False, kw_only=True)
class CachedTensors:
    """Tensors that share their leading dimensions, and what is derived from them."""

    cache: dict[str, Any] = attrs.field(factory=dict, repr=False)

    def invalidate(self) -> None:
        """Forget derived quantities: the tensors have changed."""
        self.cache.clear()

    def update_envs(self, env_ids: Tensor, some: CachedTensors) -> None:
        """Bring derived quantities up to date where only rows `env_ids` of the tensors have changed, int64 [n].

        A reset of few rows so costs little. `some` is what these rows are now, [n, ...]; what it knows already is a
        view of tensors that have changed.
        """
        renewed = {self.cache[name].untyped_storage().data_ptr() for name in some.cache}
        for name, value in self.cache.items():
            storage = value.untyped_storage().data_ptr()
            if storage not in renewed:  # a view comes after what it is a view of, and follows that
                value.index_copy_(0, env_ids, getattr(some, name))
                renewed.add(storage)

    def put(self, env_ids: Tensor, some: CachedTensors) -> None:
        """Replace some environments, int64 [n], by `some`, [n, ...]: the reverse of `rows`."""
        for field in attrs.fields(type(self)):
            value = getattr(self, field.name)
            if isinstance(value, Tensor):
                value.index_copy_(0, env_ids, getattr(some, field.name))
        self.invalidate()

    def select(self, env_ids: Tensor) -> Self:
        """Return a copy restricted to some environments, int64 [n]."""
        kept: dict[str, Any] = {}
        for field in attrs.fields(type(self)):
            value = getattr(self, field.name)
            if isinstance(value, Tensor):
                kept[field.name] = value.index_select(0, env_ids)
            elif isinstance(value, CachedTensors):
                kept[field.name] = value.select(env_ids)
            elif field.name == "known":
                continue
            elif isinstance(value, Mapping):
                kept[field.name] = {name: tensor.index_select(0, env_ids) for name, tensor in value.items()}
            else:
                kept[field.name] = value
        return type(self)(**kept)
