"""What a control step of all environments began with and what acted in it, kept until the next one begins."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

Forces = tuple[Tensor, Tensor]
"""Body indices, int64 [P], and what acts on these, [N, P, 6]."""


class StepMemory:
    """One copy of the state in a control step, one of the targets in a substep; forces are kept as they are."""

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        """Take the live tensors of the integration state, [N, ...]."""
        self._state = dict(state)
        self._before = {name: torch.zeros_like(tensor) for name, tensor in state.items()}
        self._targets: list[Tensor] = []
        self._forces: list[Forces] = []
        self._next = self._made = 0

    def begin_substep(self, target: Tensor, last: bool) -> None:
        """Remember the state if a control step begins here, and the targets, [N, J]."""
        if self._next == 0:
            for name, tensor in self._state.items():
                self._before[name].copy_(tensor)
            self._forces.clear()
        if self._next == len(self._targets):
            self._targets.append(torch.zeros_like(target))
        self._targets[self._next].copy_(target)
        self._next += 1
        self._made = self._next
        if last:
            self._next = 0

    def add_forces(self, bodies: Tensor, forces: Tensor) -> None:
        """Remember the forces of this substep; neither tensor may be changed later."""
        self._forces.append((bodies, forces))

    def start_over(self) -> None:
        """Take the next substep for the first of a control step."""
        self._next = self._made = 0

    def before(self, env_id: int) -> dict[str, Tensor]:
        """Return the state of an environment before the first substep, on the CPU."""
        return {name: tensor[env_id].cpu().clone() for name, tensor in self._before.items()}

    def after(self, env_id: int) -> dict[str, Tensor]:
        """Return its present state, on the CPU."""
        return {name: tensor[env_id].cpu().clone() for name, tensor in self._state.items()}

    def targets(self, env_id: int) -> Tensor:
        """Return its targets, [D, J], on the CPU."""
        if not self._made:
            raise RuntimeError("no control step has been made yet")
        return torch.stack([target[env_id].cpu() for target in self._targets[: self._made]])

    def forces(self, env_id: int, rest: Tensor) -> Tensor:
        """Return the forces on every body, [D, nbody, 6]; those that no component writes are `rest`, [nbody, 6]."""
        each = []
        for bodies, forces in self._forces:
            own = rest.cpu().clone()
            each.append(own.index_copy_(0, bodies.cpu(), forces[env_id].to(own).cpu()))
        return torch.stack(each)
