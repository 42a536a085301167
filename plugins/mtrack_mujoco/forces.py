"""External forces on bodies."""

from __future__ import annotations

import torch
from torch import Tensor

FIELDS = ("xpos", "xipos")
"""Outputs that `ExternalForces` needs."""


class ExternalForces:
    """Writes wrenches at body origins as MuJoCo takes them: at the centres of mass.

    Only bodies that have had a wrench are computed: usually few.
    """

    def __init__(self, bodies: Tensor, xpos: Tensor, xipos: Tensor, xfrc: Tensor) -> None:
        """Take the indices of the bodies that wrenches act on, int64 [B], and the engine's live arrays."""
        self._bodies, self._xpos, self._xipos, self._xfrc = bodies, xpos, xipos, xfrc
        self.find_forces()

    def find_forces(self) -> None:
        """Find the bodies that have a wrench in the engine's state; called after a state was loaded."""
        self._serve((self._xfrc.index_select(1, self._bodies) != 0.0).any(0).any(-1))

    def apply(self, wrench: Tensor) -> tuple[Tensor, Tensor]:
        """Write force [N] and torque [N m], [N, B, 6]; the lever arm is that of the previous substep.

        Returns the indices of the bodies written, int64 [P], and the values, float64 [N, P, 6].
        """
        # a sum of magnitudes is 0 only if all of them are; over the first dimension it is much faster than `amax`
        total = wrench.flatten(1).abs().sum(0).view(-1, 6).sum(1)
        has = (total != 0.0) | self._served
        if has.sum() > len(self._indices):
            self._serve(has)
        served = wrench.index_select(1, self._indices).double()
        force, torque = served.split(3, dim=2)
        lever = self._xpos.index_select(1, self._body_ids).sub_(self._xipos.index_select(1, self._body_ids))
        torque.add_(torch.linalg.cross(lever, force))
        self._xfrc.index_copy_(1, self._body_ids, served)
        return self._body_ids, served

    def _serve(self, served: Tensor) -> None:
        self._served, self._indices = served, served.nonzero().squeeze(1)
        self._body_ids = self._bodies.index_select(0, self._indices)
