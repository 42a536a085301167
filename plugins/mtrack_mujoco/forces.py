"""External forces on bodies."""

from __future__ import annotations

import torch
from torch import Tensor

FIELDS = ("xpos", "xipos")
"""Outputs that `apply_wrench` needs."""


def apply_wrench(wrench: Tensor, xpos: Tensor, xipos: Tensor, bodies: Tensor, xfrc: Tensor) -> None:
    """Write force and torque at body origins, [N, B, 6], as MuJoCo takes them: at the centres of mass.

    Within a control step the lever arm is that of the substep before.
    """
    wrench = wrench.to(torch.float64, copy=True)
    force = wrench[..., :3]
    lever = xpos.index_select(1, bodies).sub_(xipos.index_select(1, bodies))
    wrench[..., 3:] += torch.linalg.cross(lever, force)
    xfrc.index_copy_(1, bodies, wrench)
