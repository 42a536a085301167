"""What bare physics costs on the device: the engine calls of an environment loop, recorded and made again."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrack_mujoco.replay import Call, EngineCalls
from mtrack_warp.backend import WarpBackend


class Recording(EngineCalls):
    """Engine calls of the backend `mujoco_warp`; made again they launch the same graphs."""

    def __init__(self, backend: WarpBackend) -> None:
        """Record a built backend, from its present state on."""
        self._sim = backend._sim  # friends within the plugin
        super().__init__(backend, self._sim)
        self._written = ("ctrl", "qvel", *["xfrc_applied"] * backend._applies_forces)  # a push writes velocities

    def state(self) -> Tensor:
        """Return a copy of where the simulations are and how they move, [N, .]."""
        return torch.cat((self._sim.qpos, self._sim.qvel), dim=1)

    def before_step(self) -> Call:
        """Return what writes controls, velocities and forces again."""
        written = [(self._sim.state[name], self._sim.state[name].clone()) for name in self._written]

        def write() -> None:
            for tensor, value in written:
                tensor.copy_(value)

        return write

    def before_forward(self, env_ids: Tensor | None) -> Call:
        """Return what writes state and model fields of the rows again."""
        assert env_ids is not None
        tensors = self._sim.state | self._sim.fields.tensors()
        written = [(tensor, tensor.index_select(0, env_ids)) for tensor in tensors.values()]

        def write() -> None:
            for tensor, values in written:
                tensor.index_copy_(0, env_ids, values)

        return write
