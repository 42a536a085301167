"""What mujoco_warp had no room for: which of its flags mean what, and which setting makes room."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrack_mujoco.engine_warnings import WarningMonitor, Watched
from mtrack_warp.engine import mujoco_warp
from mtrack_warp.sizing import Sizes


def overflow_monitor(sizes: Sizes, device: torch.device) -> tuple[WarningMonitor, Tensor]:
    """Return a monitor of contacts and constraints, and the bits of `mujoco_warp.OverflowType` of each, int32 [2]."""
    kind = mujoco_warp.OverflowType
    bits = [kind.BROADPHASE | kind.NARROWPHASE | kind.CCD, kind.NEFC | kind.NJMAX_NNZ]
    watched = (
        Watched(
            "physics/contact_overflow",
            "no room for all contacts in {envs} of the environments (mujoco_warp): some were left out, "
            f"of unknown ones: set [backend] max_contacts above {sizes.contacts} (a mean of all environments)",
        ),
        Watched(
            "physics/constraint_overflow",
            "no room for all constraints in {envs} of the environments (mujoco_warp): some were left out, and "
            f"these are reset: set [backend] max_constraints above {sizes.constraints}",
        ),
    )
    return WarningMonitor(watched, device), torch.tensor([int(bit) for bit in bits], dtype=torch.int32, device=device)


def named(overflow: int) -> tuple[str, ...]:
    """Return the names of the flags set in a value of `mujoco_warp.OverflowType`."""
    return tuple(f"{kind.name}: not enough room" for kind in mujoco_warp.OverflowType if overflow & int(kind))
