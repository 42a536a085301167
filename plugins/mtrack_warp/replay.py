"""What bare physics costs on the device: the engine calls of an environment loop, recorded and made again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor

from mtrack_warp.backend import WarpBackend

Call = Callable[[], None]


class Recording:
    """While entered, remembers every engine call of a backend with the controls, forces and states written before it.

    `replay` launches the same graphs on the same buffers: the time it takes is that of the physics alone.
    """

    def __init__(self, backend: WarpBackend) -> None:
        """Record a built backend, from its present state on."""
        self._backend, self._sim = backend, backend._sim  # friends within the plugin
        self._forces = backend._applies_forces
        self._begin = backend.state_dict()
        self._calls: list[Call] = []

    def __enter__(self) -> Self:
        """Put a listener before each engine call."""
        self._step, self._forward = self._sim.step, self._sim.forward
        self._sim.step, self._sim.forward = self._heard_step, self._heard_forward  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        """Take the listeners away."""
        del self._sim.step, self._sim.forward

    def rewind(self) -> None:
        """Go back to the state in which the recording began."""
        self._backend.load_state_dict(self._begin)

    def replay(self) -> None:
        """Make the recorded calls again, after `rewind`."""
        for call in self._calls:
            call()

    def state(self) -> Tensor:
        """Return a copy of where the simulations are and how they move, [N, .]: a replay leads to the same."""
        return torch.cat((self._sim.qpos, self._sim.qvel), dim=1)

    def _heard_step(self, last: bool) -> None:
        sim = self._sim
        written = {"ctrl": sim.ctrl.clone(), "qvel": sim.qvel.clone()}  # a push writes velocities
        if self._forces:
            written["xfrc_applied"] = sim.state["xfrc_applied"].clone()

        def again() -> None:
            for name, value in written.items():
                sim.state[name].copy_(value)
            self._step(last)

        self._calls.append(again)
        self._step(last)

    def _heard_forward(self, ids: Tensor) -> None:
        tensors = self._sim.state | self._sim.fields.tensors()
        written = [(tensor, tensor.index_select(0, ids)) for tensor in tensors.values()]

        def again() -> None:
            for tensor, values in written:
                tensor.index_copy_(0, ids, values)
            self._forward(ids)

        self._calls.append(again)
        self._forward(ids)
