"""What a control step of all environments began with and what acted in it, kept until the next one begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mtrack import RecordedStep

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

    def record(
        self,
        env_id: int,
        ctrl: Tensor,
        actuators: Sequence[int],
        xfrc: Tensor | None,
        fields: Mapping[str, Tensor],
        **more: Any,
    ) -> RecordedStep:
        """Return the last control step of an environment, on the CPU; `more` are other fields of the record.

        `ctrl` [N, U], `xfrc` [N, nbody, 6] (None if no component applies forces) and `fields`, [N, ...] by name, are
        the live ones; `actuators` says which of `ctrl` the J targets are.
        """
        targets = torch.stack([target[env_id] for target in self._targets[: self._made]])
        controls = ctrl[env_id].expand(len(targets), -1).clone()
        controls[:, list(actuators)] = targets.to(controls)
        return RecordedStep(
            before={name: tensor[env_id].cpu().clone() for name, tensor in self._before.items()},
            controls=controls.cpu(),
            forces=None if xfrc is None else self._forces_on(env_id, xfrc[env_id]),
            fields={name.removeprefix("field."): value[env_id].cpu() for name, value in fields.items()},
            after={name: tensor[env_id].cpu().clone() for name, tensor in self._state.items()},
            **more,
        )

    def _forces_on(self, env_id: int, present: Tensor) -> Tensor:
        """Return the forces on every body, [D, nbody, 6]; what no component writes is as at present, [nbody, 6]."""
        each = [present.index_copy(0, bodies, forces[env_id]) for bodies, forces in self._forces]
        return torch.stack(each).cpu()
