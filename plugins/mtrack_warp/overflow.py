"""Buffers of mujoco_warp that overflow: which flags mean what, and which setting enlarges the buffer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mtrack_mujoco.engine_warnings import WarningMonitor, WatchedWarning
from mtrack_warp.engine import mujoco_warp
from mtrack_warp.sizing import BufferSizes

_Flags = mujoco_warp.OverflowType
CONSTRAINTS = _Flags.NEFC | _Flags.NJMAX_NNZ | _Flags.NVMAX
"""Constraints were left out. These flags and those of contacts stay until an environment is reset."""
_CONTACTS = _Flags.BROADPHASE | _Flags.NARROWPHASE | _Flags.CCD
_LASTING = _CONTACTS | CONSTRAINTS
_SOLVER = _Flags.ITERATIONS | _Flags.LS_ITERATIONS
_COLLISIONS = _Flags.HFIELD | _Flags.EPA_HORIZON
_SENSORS = _Flags.CONTACT_MATCH | _Flags.TACTILE


class OverflowMonitor(WarningMonitor):
    """Reports each kind of overflow once, and counts all of them."""

    def __init__(self, sizes: BufferSizes, device: torch.device) -> None:
        """Watch buffers of these sizes."""
        lost = "some were left out"
        watched = (
            _warning(
                "contact_overflow",
                _CONTACTS,
                "no room for all contacts in {envs} of the environments",
                f"{lost}, of unknown ones: set [backend] max_contacts above {sizes.contacts} (a mean of all of them)",
            ),
            _warning(
                "constraint_overflow",
                CONSTRAINTS,
                "no room for all constraints in {envs} of the environments",
                f"{lost}, and these are reset: set [backend] max_constraints above {sizes.constraints}",
            ),
            _warning(
                "solver_limit",
                _SOLVER,
                "the constraint solver did not converge in {envs} of the environments",
                "choose a smaller physics_dt, or raise option.iterations and option.ls_iterations of the robot",
            ),
            _warning(
                "collision_overflow",
                _COLLISIONS,
                "a collision was not computed exactly in {envs} of the environments",
                "use a terrain with larger cells, or simpler collision shapes",
            ),
            _warning(
                "sensor_overflow",
                _SENSORS,
                "a contact sensor saw more contacts than it can read in {envs} of the environments",
                "add a custom numeric contact_sensor_maxmatch, above 64, to the description of the robot",
            ),
        )
        super().__init__(watched, device)
        bits = [int(flags) for flags in (_CONTACTS, CONSTRAINTS, _SOLVER, _COLLISIONS, _SENSORS)]
        self._bits = torch.tensor(bits, dtype=torch.int32, device=device)

    def look_at(self, overflow: Tensor) -> None:
        """Count one control step: the flags of `mujoco_warp.OverflowType` of each environment, int32 [N].

        Flags of single steps are cleared.
        """
        self.look((overflow.unsqueeze(1) & self._bits) != 0)
        overflow.bitwise_and_(int(_LASTING))


def _warning(metric: str, flags: Any, what: str, remedy: str) -> WatchedWarning:
    named = f"mujoco_warp: {flags.name.replace('|', ' or ')}"
    return WatchedWarning(f"physics/{metric}", f"{what} ({named}): {remedy}", is_rare=not flags & _LASTING)


def overflow_names(overflow: int) -> tuple[str, ...]:
    """Return the names of the flags set in a value of `mujoco_warp.OverflowType`."""
    return tuple(f"{kind.name}: not enough room" for kind in mujoco_warp.OverflowType if overflow & int(kind))
