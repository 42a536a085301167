"""External forces on bodies."""

from __future__ import annotations

import torch
from torch import Tensor

FIELDS = ("xpos", "xipos")
"""Outputs that `ExternalForces` needs."""


class ExternalForces:
    """Writes wrenches at body origins as MuJoCo takes them: at the centres of mass.

    Only bodies that have had a wrench are worked out: they are few of many.
    """

    def __init__(self, bodies: Tensor, xpos: Tensor, xipos: Tensor, xfrc: Tensor) -> None:
        """Take which of the model's bodies wrenches are for, int64 [B], and the engine's live arrays."""
        self._bodies, self._xpos, self._xipos, self._xfrc = bodies, xpos, xipos, xfrc
        self.take_note()

    def take_note(self) -> None:
        """Find out which bodies have a wrench: the engine's state has been loaded."""
        self._serve((self._xfrc.index_select(1, self._bodies) != 0.0).any(0).any(-1))

    def apply(self, wrench: Tensor) -> tuple[Tensor, Tensor]:
        """Write force [N] and torque [N m], [N, B, 6]; the lever arm is that of the substep before.

        Returns which of the model's bodies were written, int64 [P], and what was, float64 [N, P, 6].
        """
        largest = wrench.flatten(1).abs().amax(0).view(-1, 6).amax(1)
        has = (largest != 0.0) | self._served
        if has.sum() > len(self._places):
            self._serve(has)
        served = wrench.index_select(1, self._places).double()
        lever = self._xpos.index_select(1, self._at).sub_(self._xipos.index_select(1, self._at))
        served[..., 3:] += torch.linalg.cross(lever, served[..., :3].contiguous())
        self._xfrc.index_copy_(1, self._at, served)
        return self._at, served

    def _serve(self, served: Tensor) -> None:
        self._served, self._places = served, served.nonzero().squeeze(1)
        self._at = self._bodies.index_select(0, self._places)
