"""What bare physics costs: the engine calls of an environment loop, recorded and made again without the loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import mujoco
import torch
from torch import Tensor

from mtrack_mujoco.backend import MujocoBackend

Call = Callable[[], None]


class Recording:
    """While entered, remembers every engine call of a backend with the controls, forces and states written before it.

    `replay` makes the same calls on the same batch, with its binds and expanded fields: the time it takes is that of
    the physics alone.
    """

    def __init__(self, backend: MujocoBackend) -> None:
        """Record a built backend, from its present state on."""
        self._sim, self._fields = backend._sim, backend._fields  # friends within the plugin
        self._forces = backend._applies_forces
        self._begin = backend.state_dict()
        self._backend = backend
        self._calls: list[Call] = []
        self._velocity: Tensor | None = None
        """As the last call left it."""

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
        """Return a copy of all that the simulations depend on, [N, .]: to see that a replay leads to the same."""
        return self._sim.rows.clone()

    def _heard_step(self, stage: mujoco.mjtStage) -> None:
        sim, ctrl, velocity = self._sim, self._sim.ctrl.clone(), self._sim.qvel.clone()
        forces = self._sim.xfrc.clone() if self._forces else None

        def again() -> None:
            sim.ctrl.copy_(ctrl)
            if forces is not None:
                sim.xfrc.copy_(forces)
            self._step(stage)

        def kicked() -> None:
            sim.qvel.copy_(velocity)

        # a push writes velocities between the calls; without one they are what the last call left
        if self._velocity is not None and not torch.equal(velocity, self._velocity):
            self._calls.append(kicked)
        self._calls.append(again)
        self._step(stage)
        self._velocity = sim.qvel.clone()

    def _heard_forward(self, ids: Tensor | None = None, stage: mujoco.mjtStage = mujoco.mjtStage.mjSTAGE_ACC) -> None:
        sim = self._sim
        rows = torch.arange(len(sim.rows)) if ids is None else ids
        state = sim.rows[rows]
        fields = {name: (tensor, tensor[rows]) for name, tensor in self._fields.tensors().items()}

        def again() -> None:
            sim.rows.index_copy_(0, rows, state)
            for tensor, values in fields.values():
                tensor.index_copy_(0, rows, values)
            self._forward(ids, stage)

        self._calls.append(again)
        self._forward(ids, stage)
        self._velocity = sim.qvel.clone()
