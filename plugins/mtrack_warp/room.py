"""Tells when there was not enough room for contacts or constraints, without waiting for the device."""

from __future__ import annotations

import logging

import torch
from torch import Tensor

from mtrack_warp.engine import mujoco_warp
from mtrack_warp.sizing import Sizes

_log = logging.getLogger("mtrack")


class Room:
    """Looks now and then at the overflows that the engine notes, and says once what to do about each."""

    def __init__(self, overflow: Tensor, sizes: Sizes) -> None:
        """Watch int32 [N] of `mujoco_warp.OverflowType`."""
        self._overflow = overflow
        kind = mujoco_warp.OverflowType
        bits = [kind.BROADPHASE | kind.NARROWPHASE | kind.CCD, kind.NEFC | kind.NJMAX_NNZ]
        self._bits = torch.tensor([int(bit) for bit in bits], device=overflow.device)
        self._found = torch.zeros(2, dtype=torch.int64, pin_memory=overflow.is_cuda)
        """Rows without enough room for contacts and for constraints, as it was at the look before."""
        self._advice = [
            f"there was no room for all contact points in a substep, and some were left out: set [backend] "
            f"max_contacts above {sizes.contacts} (a mean of all environments)",
            f"%d environments had more constraints than there was room for, and are reset: set [backend] "
            f"max_constraints above {sizes.constraints}",
        ]

    def look(self) -> None:
        """Warn of what was found by the look before; its copy may be under way until now, and nobody waits for it."""
        for place, count in enumerate(self._found.tolist()):
            if count and self._advice[place]:
                advice = self._advice[place]
                _log.warning(advice % count if "%d" in advice else advice)
                self._advice[place] = ""
        has = (self._overflow.unsqueeze(1) & self._bits) != 0
        self._found.copy_(has.sum(0), non_blocking=True)
