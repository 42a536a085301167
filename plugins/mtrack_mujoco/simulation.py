"""Many MuJoCo simulations of one model, their live arrays as tensors; an engine error ends one environment only."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

import mujoco
import numpy as np
import torch
from mujoco.batch import Batch, SimulationError
from torch import Tensor

from mtrack.api.physics import LARGEST_STATE
from mtrack_mujoco.engine_warnings import WarningMonitor, explain_state, explain_warning, watched_warnings
from mtrack_mujoco.model_fields import BatchFields

_log = logging.getLogger(__name__)

_Warning = mujoco.mjtWarning
# an environment that raised one of these is lost: its state or controls were not finite, or its contacts are incomplete
_FATAL = slice(int(_Warning.mjWARN_CONTACTFULL), int(_Warning.mjWARN_BADCTRL) + 1)
_INERTIA = int(_Warning.mjWARN_INERTIA)
_COUNT = 1  # column of the warnings: how often; the other column is the index of what it is about
_MB = 1 << 20


def compile_physics(spec: mujoco.MjSpec) -> mujoco.MjModel:
    """Compile a description without its visual parts, which would cost time in every step."""
    spec.compiler.discardvisual = True
    for element in (*spec.cameras, *spec.lights):
        spec.delete(element)
    return spec.compile()


class MujocoSimulations:
    """N simulations: states that can be written, and outputs that every call updates; see `mtrack_mujoco.interface`."""

    def __init__(
        self,
        model: mujoco.MjModel,
        num: int,
        threads: int,
        outputs: Sequence[str],
        model_fields: Sequence[str] = (),
    ) -> None:
        """Allocate, at the model's own initial state; nothing is computed yet. Raises NameProblem."""
        if mujoco.get_mju_user_warning() is None:
            # the engine would write to stderr and to a file in the working directory; `broken` reports what matters
            mujoco.set_mju_user_warning(_log.debug)
        # persistent data would need 10 times the memory, and keep the next step's warm start outside of `rows`
        self.batch = Batch(model, num, threads, persistent=False)
        self.rows = torch.from_numpy(self.batch.state)
        """float64 [N, S] the whole integration state of each environment, of which `qpos` and the like are views."""
        self.state = {"rows": self.rows}
        self.qpos, self.qvel, self.ctrl, self.xfrc = (
            torch.from_numpy(self.batch.bind(name)) for name in ("qpos", "qvel", "ctrl", "xfrc_applied")
        )
        self.outputs = {name: self._output(name) for name in outputs}
        self._initial = self.rows[0].clone()
        self._motion = self.rows[:, 1 : 1 + model.nq + model.nv]  # positions and velocities follow the time
        self._warning = torch.from_numpy(self.batch.warning)
        self._failed = torch.zeros(num, dtype=torch.bool)
        self._error_level = logging.WARNING
        self._remedy = f"set [backend] memory_mb above {-(-model.narena // _MB)}"
        watched = watched_warnings(self._remedy)
        self._watched = [int(getattr(_Warning, f"mjWARN_{name}")) for name in watched]
        self.monitor = WarningMonitor(tuple(watched.values()), torch.device("cpu"))
        self.fields = BatchFields(self.batch, model_fields)
        self.engine: Mapping[str, object] = {}

    def restart(self, env_ids: Tensor) -> None:
        """Put environments, int64 [n], into the model's initial state and clear their warnings."""
        self.rows.index_copy_(0, env_ids, self._initial.expand(len(env_ids), -1))
        self._warning.index_fill_(0, env_ids, 0)
        self._failed.index_fill_(0, env_ids, False)

    def step(self, last: bool) -> None:
        """Advance every environment by one substep; after the `last` one compute poses and velocities too."""
        stage = mujoco.mjtStage.mjSTAGE_VEL if last else mujoco.mjtStage.mjSTAGE_NONE
        self._run(lambda: self.batch.step(stage=stage))

    def forward(self, env_ids: Tensor, stage: mujoco.mjtStage = mujoco.mjtStage.mjSTAGE_ACC) -> None:
        """Compute the stages up to `stage` at the present state of environments; the outputs of others do not change.

        By default all stages: the outputs of a stage that is left out would be those of another simulation.
        """
        sorted_ids = np.unique(env_ids.numpy())
        self._run(lambda: self.batch.forward(sorted_ids, stage))

    def update_constants(self, env_ids: Tensor) -> None:
        """Recompute the constants that follow from changed model fields."""
        self.fields.update_constants(env_ids)

    def watch(self) -> None:
        """Count the engine's warnings, once a control step, and report new ones."""
        self.monitor.look(self._warning[:, self._watched, _COUNT] > 0)
        self._warning[:, _INERTIA].zero_()  # the others end the episode, and the restart clears them

    def diverged(self) -> Tensor:
        """Return bool [N]: environments out of bounds, or that had a fatal warning or error since the restart."""
        low, high = self._motion.aminmax(dim=-1)
        sound = (low > -LARGEST_STATE) & (high < LARGEST_STATE)  # False for NaN
        warned = (self._warning[:, _FATAL, _COUNT] > 0).any(-1)
        return ~sound | warned | self._failed

    def warnings(self, env_id: int) -> tuple[str, ...]:
        """Return the engine's warnings about one environment since its restart, and what is out of bounds now."""
        model, found = self.batch.model, []
        for kind, (about, number) in enumerate(self._warning[env_id].tolist()):
            if number:
                found.append(explain_warning(_Warning(kind).name.removeprefix("mjWARN_"), model, about))
        found += explain_state(model, self.qpos[env_id], self.qvel[env_id])
        if self._failed[env_id]:
            found.append(f"ERROR: {(self.batch.error(env_id) or 'the engine raised an error').splitlines()[0]}")
        return tuple(found)

    def tensors(self) -> dict[str, Tensor]:
        """Return, live, everything that later calls depend on or that was computed last."""
        outputs = {f"output.{name}": tensor for name, tensor in self.outputs.items()}
        own = {"rows": self.rows, "warning": self._warning, "failed": self._failed}
        return {**own, **outputs, **self.fields.tensors()}

    def _output(self, name: str) -> Tensor:
        array = self.batch.bind(name)
        array.flags.writeable = True  # torch warns about read-only memory; only loading a checkpoint writes here
        return torch.from_numpy(array)

    def _run(self, call: Callable[[], None]) -> None:
        try:
            call()
        except SimulationError as error:
            advice = f"\n  {self._remedy}" if "memory" in str(error) else ""
            _log.log(self._error_level, "%s%s", error, advice)
            self._error_level = logging.DEBUG  # only once: such an error comes back in every step
            self._failed[torch.from_numpy(error.ids).long()] = True
