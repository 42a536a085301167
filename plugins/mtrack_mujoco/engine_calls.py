"""Measures what physics alone costs: records the engine calls of an environment loop, then repeats only these."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor

from mtrack_mujoco.base import BaseBackend

Call = Callable[[], None]


class EngineCalls:
    """While entered, records every engine call of a backend, and what was written to the simulations before it.

    `replay` repeats these writes and calls on the same buffers: the time it takes is that of the physics alone.
    """

    def __init__(self, backend: BaseBackend) -> None:
        """Record a built backend, from its present state on."""
        self._backend = backend
        self._sim: Any = backend._sim  # its methods are replaced while recording
        self._forces = backend._applies_forces
        self._start = backend.state_dict()
        self._velocity: Tensor | None = None
        """As the last call left it."""
        self._calls: list[Call] = []

    def __enter__(self) -> Self:
        """Record each engine call from now on."""
        step, forward = self._sim.step, self._sim.forward

        def recorded_step(last: bool) -> None:
            self._record(self._writes_of_step(), lambda: step(last))

        def recorded_forward(env_ids: Tensor) -> None:
            self._record(self._writes_of_forward(env_ids), lambda: forward(env_ids))

        self._sim.step, self._sim.forward = recorded_step, recorded_forward
        return self

    def __exit__(self, *_: object) -> None:
        """Stop recording."""
        del self._sim.step, self._sim.forward  # uncovers the methods of the class

    def rewind(self) -> None:
        """Restore the state in which the recording began."""
        self._backend.load_state_dict(self._start)

    def replay(self) -> None:
        """Repeat the recorded calls, after `rewind`."""
        for call in self._calls:
            call()

    def state(self) -> Tensor:
        """Return a copy of the state of all simulations, [N, S], to check that a replay reaches the same state."""
        return torch.cat([tensor.reshape(len(tensor), -1).double() for tensor in self._sim.state.values()], dim=1)

    def _record(self, write: Call, call: Call) -> None:
        self._calls += [write, call]
        call()
        self._velocity = self._sim.qvel.clone()

    def _writes_of_step(self) -> Call:
        """Return a function that repeats what was written for the next substep: controls, forces and pushes."""
        written = [self._sim.ctrl]
        if self._forces:
            written.append(self._sim.xfrc)
        # a push changes velocities between two calls; otherwise they are what the last call left
        if self._velocity is not None and not torch.equal(self._sim.qvel, self._velocity):
            written.append(self._sim.qvel)
        values = [(tensor, tensor.clone()) for tensor in written]

        def write() -> None:
            for tensor, value in values:
                tensor.copy_(value)

        return write

    def _writes_of_forward(self, env_ids: Tensor) -> Call:
        """Return a function that repeats what was written for the next forward pass: state and model fields."""
        tensors = self._sim.state | self._sim.fields.tensors()
        values = [(tensor, tensor.index_select(0, env_ids)) for tensor in tensors.values()]

        def write() -> None:
            for tensor, value in values:
                tensor.index_copy_(0, env_ids, value)

        return write
