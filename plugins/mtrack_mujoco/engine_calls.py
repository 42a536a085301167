"""What bare physics costs: the engine calls of an environment loop, recorded and made again without the loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor

from mtrack.protocols import Backend
from mtrack_mujoco.backend import MujocoBackend

Call = Callable[[], None]


class EngineCalls:
    """While entered, remembers every engine call of a backend, and how to write what was written before it.

    `replay` makes the same calls on the same buffers: the time it takes is that of the physics alone. Subclasses say
    what to write.
    """

    def __init__(self, backend: Backend, engine: Any) -> None:
        """Record a built backend, from its present state on; `engine` is what it calls `step` and `forward` of."""
        self._backend, self._engine = backend, engine
        self._begin = backend.state_dict()
        self._calls: list[Call] = []

    def __enter__(self) -> Self:
        """Put a listener before each engine call."""
        step, forward = self._engine.step, self._engine.forward

        def heard_step(*arguments: Any) -> None:
            self._hear(self.before_step(), lambda: step(*arguments))

        def heard_forward(ids: Tensor | None = None, *arguments: Any) -> None:
            self._hear(self.before_forward(ids), lambda: forward(ids, *arguments))

        self._engine.step, self._engine.forward = heard_step, heard_forward
        return self

    def __exit__(self, *_: object) -> None:
        """Take the listeners away."""
        del self._engine.step, self._engine.forward  # the methods of the class are there again

    def rewind(self) -> None:
        """Go back to the state in which the recording began."""
        self._backend.load_state_dict(self._begin)

    def replay(self) -> None:
        """Make the recorded calls again, after `rewind`."""
        for call in self._calls:
            call()

    def state(self) -> Tensor:
        """Return a copy of the state of all simulations, [N, .]: to see that a replay leads to the same."""
        raise NotImplementedError

    def before_step(self) -> Call:
        """Return what writes again what is written for the substep to come."""
        raise NotImplementedError

    def before_forward(self, ids: Tensor | None) -> Call:
        """Return what writes again the rows, int64 [n] or all, whose forward pass is to come."""
        raise NotImplementedError

    def called(self) -> None:
        """Look at what a call has left."""

    def _hear(self, write: Call, call: Call) -> None:
        self._calls += [write, call]
        call()
        self.called()


class Recording(EngineCalls):
    """Engine calls of the backend `mujoco`, on the same batch, with its binds and expanded fields."""

    def __init__(self, backend: MujocoBackend) -> None:
        """Record a built backend, from its present state on."""
        self._sim, self._fields = backend._sim, backend._fields  # friends within the plugin
        super().__init__(backend, self._sim)
        self._forces = backend._applies_forces
        self._velocity: Tensor | None = None
        """As the last call left it."""

    def state(self) -> Tensor:
        """Return a copy of all that the simulations depend on, [N, .]."""
        return self._sim.rows.clone()

    def before_step(self) -> Call:
        """Return what writes controls, forces and, after a push, velocities again."""
        sim, ctrl, velocity = self._sim, self._sim.ctrl.clone(), self._sim.qvel.clone()
        forces = self._sim.xfrc.clone() if self._forces else None
        # a push writes velocities between the calls; without one they are what the last call left
        is_kicked = self._velocity is not None and not torch.equal(velocity, self._velocity)

        def write() -> None:
            if is_kicked:
                sim.qvel.copy_(velocity)
            sim.ctrl.copy_(ctrl)
            if forces is not None:
                sim.xfrc.copy_(forces)

        return write

    def before_forward(self, ids: Tensor | None) -> Call:
        """Return what writes state and model fields of the rows again."""
        sim = self._sim
        rows = torch.arange(len(sim.rows)) if ids is None else ids
        state = sim.rows[rows]
        fields = [(tensor, tensor[rows]) for tensor in self._fields.tensors().values()]

        def write() -> None:
            sim.rows.index_copy_(0, rows, state)
            for tensor, values in fields:
                tensor.index_copy_(0, rows, values)

        return write

    def called(self) -> None:
        """Keep the velocities."""
        self._velocity = self._sim.qvel.clone()
