"""Buffers of mujoco_warp that overflow: which flags mean what, and which setting enlarges the buffer."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrack_mujoco.engine_warnings import WarningMonitor, WatchedWarning
from mtrack_warp.engine import mujoco_warp
from mtrack_warp.sizing import BufferSizes


class OverflowMonitor(WarningMonitor):
    """Reports the first overflow of contacts and of constraints, and counts all of them."""

    def __init__(self, sizes: BufferSizes, device: torch.device) -> None:
        """Watch buffers of these sizes."""
        watched = (
            WatchedWarning(
                "physics/contact_overflow",
                "no room for all contacts in {envs} of the environments (mujoco_warp): some were left out, "
                f"of unknown ones: set [backend] max_contacts above {sizes.contacts} (a mean of all environments)",
            ),
            WatchedWarning(
                "physics/constraint_overflow",
                "no room for all constraints in {envs} of the environments (mujoco_warp): some were left out, and "
                f"these are reset: set [backend] max_constraints above {sizes.constraints}",
            ),
        )
        super().__init__(watched, device)
        kind = mujoco_warp.OverflowType
        bits = [int(kind.BROADPHASE | kind.NARROWPHASE | kind.CCD), int(kind.NEFC | kind.NJMAX_NNZ)]
        self._bits = torch.tensor(bits, dtype=torch.int32, device=device)

    def look_at(self, overflow: Tensor) -> None:
        """Count one control step: the flags of `mujoco_warp.OverflowType` of each environment, int32 [N]."""
        self.look((overflow.unsqueeze(1) & self._bits) != 0)


def overflow_names(overflow: int) -> tuple[str, ...]:
    """Return the names of the flags set in a value of `mujoco_warp.OverflowType`."""
    return tuple(f"{kind.name}: not enough room" for kind in mujoco_warp.OverflowType if overflow & int(kind))
