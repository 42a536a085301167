"""Many simulations of one model with their live arrays as tensors; an engine error marks its row, and stops nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

import mujoco
import numpy as np
import torch
from mujoco.batch import Batch, SimulationError
from torch import Tensor

from mtrack import CheckpointError
from mtrack_mujoco.engine_warnings import WarningMonitor, Watched, complaint

_log = logging.getLogger(__name__)

_Warning = mujoco.mjtWarning
# an environment that raised one of these is lost: its state or controls were not finite, or its contacts are incomplete
_FATAL = slice(int(_Warning.mjWARN_CONTACTFULL), int(_Warning.mjWARN_BADCTRL) + 1)
_INERTIA = int(_Warning.mjWARN_INERTIA)
_NUMBER = 1  # column of the warnings: how often; the other is what about
_MB = 1 << 20

_WATCHED = {
    "CONTACTFULL": (
        "contact_overflow",
        "no room for all contacts in {{envs}} of the environments (mjWARN_CONTACTFULL): some were left out, and these "
        "are reset: {remedy}",
    ),
    "CNSTRFULL": (
        "constraint_overflow",
        "no room for all constraints in {{envs}} of the environments (mjWARN_CNSTRFULL): some were left out, and these "
        "are reset: {remedy}",
    ),
    "INERTIA": (
        "singular_inertia",
        "the inertia matrix of {{envs}} of the environments is nearly singular (mjWARN_INERTIA): look for masses, "
        "inertias and armatures near 0 in the robot and in randomizations",
    ),
}


def compile_physics(spec: mujoco.MjSpec) -> mujoco.MjModel:
    """Compile a description without what is only looked at, which would cost time in every step."""
    spec.compiler.discardvisual = True
    for element in (*spec.cameras, *spec.lights):
        spec.delete(element)
    return spec.compile()


class Simulation:
    """N simulations: state rows that can be written, and outputs that follow each call."""

    def __init__(self, model: mujoco.MjModel, num: int, threads: int, outputs: Sequence[str]) -> None:
        """Allocate, at the model's own initial state; nothing is computed yet."""
        if mujoco.get_mju_user_warning() is None:
            # the engine would write to stderr and to a file in the working directory; `broken` tells what matters
            mujoco.set_mju_user_warning(_log.debug)
        # persistent data would keep 10 times the memory, and the next step's warm start outside the state rows
        self.batch = Batch(model, num, threads, persistent=False)
        self.rows = torch.from_numpy(self.batch.state)
        self.qpos, self.qvel, self.ctrl, self.xfrc = (
            torch.from_numpy(self.batch.bind(name)) for name in ("qpos", "qvel", "ctrl", "xfrc_applied")
        )
        self.outputs = {name: self._output(name) for name in outputs}
        self._start = self.rows[0].clone()
        self._motion = self.rows[:, : 1 + model.nq + model.nv]  # time, positions and velocities come first
        self._warning = torch.from_numpy(self.batch.warning)
        self._failed = torch.zeros(num, dtype=torch.bool)
        self._error_level = logging.WARNING
        self._remedy = f"set [backend] memory_mb above {-(-model.narena // _MB)}"
        self._watched = [int(getattr(_Warning, f"mjWARN_{name}")) for name in _WATCHED]
        self.monitor = WarningMonitor(
            tuple(Watched(f"physics/{metric}", text.format(remedy=self._remedy)) for metric, text in _WATCHED.values()),
            torch.device("cpu"),
        )

    def step(self, stage: mujoco.mjtStage) -> None:
        """Advance every row by one substep, then compute the stages up to `stage` at the new state."""
        self._run(lambda: self.batch.step(stage=stage))

    def forward(self, env_ids: Tensor | None = None, stage: mujoco.mjtStage = mujoco.mjtStage.mjSTAGE_ACC) -> None:
        """Compute the stages up to `stage` at the present state of rows; the outputs of others stay."""
        rows = None if env_ids is None else np.unique(env_ids.numpy())
        self._run(lambda: self.batch.forward(rows, stage))

    def restart(self, env_ids: Tensor, qpos: Tensor, qvel: Tensor) -> None:
        """Put rows at positions and velocities with everything else as at the start, faults forgotten."""
        self.rows.index_copy_(0, env_ids, self._start.expand(len(env_ids), -1))
        self.qpos.index_copy_(0, env_ids, qpos)
        self.qvel.index_copy_(0, env_ids, qvel)
        self._warning.index_fill_(0, env_ids, 0)
        self._failed.index_fill_(0, env_ids, False)

    def start_positions(self, num: int) -> Tensor:
        """Return the model's own initial positions, [num, nq]."""
        return torch.from_numpy(self.batch.model.qpos0).expand(num, -1).clone()

    def watch(self) -> None:
        """Report and count, once a control step, what the engine warned of."""
        self.monitor.look(self._warning[:, self._watched, _NUMBER] > 0)
        self._warning[:, _INERTIA].zero_()  # the others end the episode, which forgets them

    def diverged(self) -> Tensor:
        """Return bool [N]: rows that are not finite, were warned of, or raised an error since their restart."""
        finite = torch.isfinite(self._motion.sum(-1))  # a sum is finite only if all of it is
        warned = (self._warning[:, _FATAL, _NUMBER] > 0).any(-1)
        return ~finite | warned | self._failed

    def warnings(self, env_id: int) -> tuple[str, ...]:
        """Return what the engine has complained of since the restart of an environment, by name."""
        model, found = self.batch.model, []
        for kind, (about, number) in enumerate(self._warning[env_id].tolist()):
            if number:
                found.append(complaint(_Warning(kind).name.removeprefix("mjWARN_"), model, about))
        if self._failed[env_id]:
            found.append(f"ERROR: {(self.batch.error(env_id) or 'the engine raised one').splitlines()[0]}")
        return tuple(found)

    def tensors(self) -> dict[str, Tensor]:
        """Return, live, everything that later calls depend on or that was computed last."""
        outputs = {f"output.{name}": tensor for name, tensor in self.outputs.items()}
        return {"rows": self.rows, "warning": self._warning, "failed": self._failed, **outputs}

    def _output(self, name: str) -> Tensor:
        array = self.batch.bind(name)
        array.flags.writeable = True  # torch warns of read-only memory; only loading a checkpoint writes here
        return torch.from_numpy(array)

    def _run(self, call: Callable[[], None]) -> None:
        try:
            call()
        except SimulationError as error:
            advice = f"\n  {self._remedy}" if "memory" in str(error) else ""
            _log.log(self._error_level, "%s%s", error, advice)
            self._error_level = logging.DEBUG  # once: such a fault comes back in every step
            self._failed[torch.from_numpy(error.ids).long()] = True


def restore(own: Mapping[str, Tensor], saved: Mapping[str, Tensor]) -> None:
    """Copy saved tensors into tensors of the same names and shapes. Raises CheckpointError where they differ."""
    for name, tensor in own.items():
        if name not in saved:
            raise CheckpointError(f"the saved physics lacks '{name}': it is of another version or recipe")
        if saved[name].shape != tensor.shape:
            shapes = f"{list(saved[name].shape)}, not {list(tensor.shape)}"
            raise CheckpointError(f"the saved physics has '{name}' of shape {shapes}: it is of another recipe")
    for name, tensor in own.items():
        tensor.copy_(saved[name])
