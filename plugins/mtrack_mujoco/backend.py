"""Physics on the CPU: many MuJoCo simulations on a pool of threads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import mujoco
import torch
from torch import Tensor

from mtrack import MtrackError, PhysicsPlan, RecordedStep, Replay, Robot, component, non_negative, param, scratch
from mtrack.api.device import available_cpus
from mtrack_mujoco import forces, outputs
from mtrack_mujoco.base import OUTPUTS, BaseBackend
from mtrack_mujoco.reproduce import replay
from mtrack_mujoco.simulation import MujocoSimulations


@component
class MujocoBackend(BaseBackend):
    """MuJoCo on the CPU, bit-identical at any number of threads."""

    auto_priority: ClassVar[Mapping[str, int]] = {"cpu": 10}

    threads: int = param(default=0, validator=non_negative)
    """Threads that step the simulations; 0 uses every CPU that this process may use."""
    memory_mb: int = param(default=0, validator=non_negative)
    """Memory for the contacts and constraints of one simulation, in each thread [MB]; 0 leaves it to MuJoCo."""

    _forces: forces.ExternalForces = scratch()

    def build(self, robot: Robot, plan: PhysicsPlan) -> None:
        """Compile the model and allocate `plan.num_envs` copies at the default pose. Raises MtrackError."""
        device = torch.device(plan.device)
        if device.type != "cpu":
            raise MtrackError(f"the backend 'mujoco' runs on the CPU: set device to 'cpu' instead of '{plan.device}'")
        spec = self._describe(robot, plan)
        # a state that is not finite must stay visible, see `broken`
        spec.option.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET
        if self.memory_mb:
            spec.memory = self.memory_mb << 20
        model = self._compile(spec, device)
        names = dict.fromkeys((*outputs.FIELDS, *OUTPUTS, *(forces.FIELDS if plan.forces else ())))
        threads = self.threads or available_cpus()
        sim = MujocoSimulations(model, plan.num_envs, threads, tuple(names), plan.model_fields)
        if plan.forces:
            self._forces = forces.ExternalForces(self._at.bodies, sim.outputs["xpos"], sim.outputs["xipos"], sim.xfrc)
        self._start(sim, plan)

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state_dict` returned. Raises CheckpointError if shapes differ."""
        super().load_state_dict(state)
        if self._applies_forces:
            self._forces.find_forces()

    def replay(self, step: RecordedStep) -> Replay:
        """Step a recorded step again on the CPU. Raises MtrackError if its parts do not match each other."""
        return replay(step)

    def _apply_forces(self) -> tuple[Tensor, Tensor]:
        return self._forces.apply(self.wrench)
