"""Action delays: how long a command takes to reach the motors, drawn for each episode."""

from __future__ import annotations

import torch
from torch import Tensor


def draw_delays(count: int, longest: int, progress: float, rng: torch.Generator) -> Tensor:
    """Draw delays in substeps, int64 [count], uniform over 0..k; k grows with `progress` in [0, 1] to `longest`.

    k is rounded up for some of the draws, so that the mean grows steadily. Up to a progress of 1 / (longest + 1), all
    delays are 0.
    """
    reach = min(max((longest + 1) * min(progress, 1.0) - 1.0, 0.0), float(longest))
    whole = int(reach)
    longer, share = torch.rand(2, count, generator=rng, device=rng.device).unbind(0)
    bound = (whole + (longer < reach - whole)).clamp(max=longest)
    return (share * (bound + 1)).long()
