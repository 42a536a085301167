"""Finds components that draw from torch's global generator, whose state no checkpoint keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import attrs
import torch

from mtrack.loop.blame import Part
from mtrack.loop.env import LifecycleCalls
from mtrack.recipe.slots import Slot


class GlobalDraws:
    """Watches the calls of components in a trial."""

    def __init__(self, parts: Iterable[Part]) -> None:
        """Watch some components."""
        self._slots = {id(component): slot for slot, component in parts}
        self._found: dict[str, Slot] = {}

    def watched(self, calls: LifecycleCalls) -> LifecycleCalls:
        """Return the same calls, each followed by a check of the global generator."""
        names = [field.name for field in attrs.fields(LifecycleCalls)]
        return LifecycleCalls(**{name: [self._watched(call) for call in getattr(calls, name)] for name in names})

    def notes(self) -> list[str]:
        """Return a line for each component that has drawn from the global generator."""
        return [describe_global_draw(slot) for slot in self._found.values()]

    def _watched(self, call: Callable[..., Any]) -> Callable[..., Any]:
        slot = self._slots.get(id(getattr(call, "__self__", None)))
        if slot is None:
            return call

        def watched(*arguments: Any) -> Any:
            before = torch.get_rng_state()
            value = call(*arguments)
            if not torch.equal(before, torch.get_rng_state()):
                self._found[slot.path] = slot
            return value

        return watched


def describe_global_draw(slot: Slot) -> str:
    """Return a remark on a component that draws from the global generator, with the remedy."""
    return (
        f"{slot}: it draws from torch's global generator, which no checkpoint keeps; declare "
        "`rng: torch.Generator = state()` and draw from that"
    )
