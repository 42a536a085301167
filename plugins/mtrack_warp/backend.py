"""Physics on a GPU: many simulations in one launch, through mujoco_warp."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import mujoco
import torch
from torch import Tensor

from mtrack import MtrackError, PhysicsPlan, RecordedStep, Replay, Robot, component, non_negative, param
from mtrack_mujoco.base import BaseBackend
from mtrack_warp.sizing import BufferSizes


@component
class WarpBackend(BaseBackend):
    """MuJoCo on a GPU, through mujoco_warp; on a CPU it is slow, for tests only."""

    libraries: ClassVar[tuple[str, ...]] = ("mujoco", "mujoco-warp", "warp-lang")
    auto_priority: ClassVar[Mapping[str, int]] = {"cuda": 20}

    max_contacts: int = param(default=0, validator=non_negative)
    """Contact points to allocate memory for, a mean over environments; 0 derives it from the robot."""
    max_constraints: int = param(default=0, validator=non_negative)
    """Rows of the constraint solver to allocate in each environment; 0 derives it from the robot."""
    deterministic: bool = param(default=False)
    """Whether a GPU gives the same numbers every time, at some cost in speed; a CPU always does."""

    def build(self, robot: Robot, plan: PhysicsPlan) -> None:
        """Compile the model and allocate `plan.num_envs` copies at the default pose. Raises MtrackError."""
        # warp takes seconds to import, and `auto` loads this class even if it then chooses another one
        from mtrack_warp.engine import require_engine  # noqa: PLC0415
        from mtrack_warp.simulation import WarpSimulations  # noqa: PLC0415

        require_engine()
        device = _numbered(plan.device)
        spec = self._describe(robot, plan)
        # this engine never resets a state by itself, and does not know the flag for it
        spec.option.disableflags &= ~int(mujoco.mjtDisableBit.mjDSBL_AUTORESET)
        model = self._compile(spec, device)
        found = BufferSizes.of_robot(model, self._robot, self._at, "dof_frictionloss" in plan.model_fields)
        sizes = BufferSizes(self.max_contacts or found.contacts, self.max_constraints or found.constraints)
        deterministic = self.deterministic and device.type == "cuda"
        self._start(WarpSimulations(model, plan.num_envs, device, sizes, plan.model_fields, deterministic), plan)

    def replay(self, step: RecordedStep) -> Replay:
        """Step a recorded step again with mujoco_warp. Raises MtrackError if its parts do not match each other."""
        from mtrack_warp.engine import require_engine  # noqa: PLC0415
        from mtrack_warp.reproduce import replay  # noqa: PLC0415

        require_engine()
        return replay(step, self.deterministic)

    def _apply_forces(self) -> tuple[Tensor, Tensor]:
        """Write wrenches at body origins as MuJoCo takes them, at centres of mass; the lever is a substep old."""
        out, bodies = self._sim.outputs, self._at.bodies
        lever = (out["xpos"] - out["xipos"]).index_select(1, bodies)
        wrench = self.wrench.clone()
        wrench[..., 3:] += torch.linalg.cross(lever, self.wrench[..., :3])
        self._sim.xfrc.index_copy_(1, bodies, wrench)
        return bodies, wrench


def _numbered(name: str) -> torch.device:
    """Return a device with its number. Raises MtrackError if there is no device of that name."""
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise MtrackError(f"there is no '{name}' that torch {torch.__version__} can use: set device to 'cpu'")
    is_any = device.type == "cuda" and device.index is None
    return torch.device("cuda", torch.cuda.current_device()) if is_any else device
