"""Keeps the start state and the inputs of the last control step, to record it if an environment diverges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mtrack import MtrackError, RecordedStep

Forces = tuple[Tensor, Tensor]
"""Body indices, int64 [P], and the forces and torques on these bodies, [N, P, 6]."""


class StepMemory:
    """Copies the state once per control step and the targets once per substep; forces are not copied."""

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        """Take the live tensors of the integration state, [N, ...]."""
        self._state = dict(state)
        self._before = {name: torch.zeros_like(tensor) for name, tensor in state.items()}
        self._targets: list[Tensor] = []
        self._forces: list[Forces] = []
        self._next = self._count = 0

    def begin_substep(self, target: Tensor, last: bool) -> None:
        """Copy the targets, [N, J], and also the state if a control step begins here."""
        if self._next == 0:
            for name, tensor in self._state.items():
                self._before[name].copy_(tensor)
            self._forces.clear()
        if self._next == len(self._targets):
            self._targets.append(torch.zeros_like(target))
        self._targets[self._next].copy_(target)
        self._next += 1
        self._count = self._next
        if last:
            self._next = 0

    def add_forces(self, bodies: Tensor, forces: Tensor) -> None:
        """Keep the forces of this substep; neither tensor may be changed afterwards."""
        self._forces.append((bodies, forces))

    def start_over(self) -> None:
        """Treat the next substep as the first of a control step."""
        self._next = self._count = 0

    def record(
        self,
        env_id: int,
        ctrl: Tensor,
        actuators: Sequence[int],
        xfrc: Tensor | None,
        fields: Mapping[str, Tensor],
        **more: Any,
    ) -> RecordedStep:
        """Return the last control step of an environment, on the CPU; `more` are further fields of the record.

        `ctrl` [N, U], `xfrc` [N, nbody, 6] (None if no component applies forces) and `fields`, [N, ...] by name,
        are live; `actuators` are the columns of the J targets in `ctrl`. Raises MtrackError if there was no step.
        """
        if not self._count:
            raise MtrackError("there was no control step since the state was loaded, so nothing can be recorded")
        targets = torch.stack([target[env_id] for target in self._targets[: self._count]])
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
        """Return the forces on every body, [D, nbody, 6]; those that no component writes are the `present` ones."""
        each = [present.index_copy(0, bodies, forces[env_id]) for bodies, forces in self._forces]
        return torch.stack(each).cpu()
