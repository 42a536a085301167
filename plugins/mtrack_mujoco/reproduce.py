"""A recorded control step, stepped again with MuJoCo and looked at in every substep."""

from __future__ import annotations

from collections.abc import Mapping

import mujoco
import numpy as np
import torch
from torch import Tensor

from mtrack import MtrackError, RecordedStep, Replay
from mtrack.api.recorded_step import FieldValue, Quantity
from mtrack_mujoco import labels
from mtrack_mujoco.description import rebuild
from mtrack_mujoco.engine_warnings import LARGEST
from mtrack_mujoco.model_fields import ModelFields
from mtrack_mujoco.simulation import Simulation, restore


class Watch:
    """Gathers what an environment does, substep by substep, whichever engine steps it."""

    def __init__(self, model: mujoco.MjModel, step: RecordedStep) -> None:
        """Take what was recorded. Raises MtrackError if its sizes are not those of the model."""
        self._model, self._step = model, step
        wanted = (len(step.controls), model.nbody, 6)
        if step.controls.shape[1] != model.nu or not len(step.controls):
            raise MtrackError(f"there are controls of {step.controls.shape[1]} motors, but the model has {model.nu}")
        if step.forces is not None and tuple(step.forces.shape) != wanted:
            raise MtrackError(f"the forces are {list(step.forces.shape)}, but the model needs {list(wanted)}")
        self._seen: dict[str, list[Tensor]] = {"qpos": [], "qvel": [], "qacc": []}
        self._warnings: list[tuple[str, ...]] = []
        self._diverged: list[bool] = []

    def start(self, qpos: Tensor, qvel: Tensor) -> None:
        """Look at the state before the first substep, [nq] and [nv]."""
        self._start = qpos.double().cpu().clone(), qvel.double().cpu().clone()

    def look(self, qpos: Tensor, qvel: Tensor, qacc: Tensor, warnings: tuple[str, ...], diverged: bool) -> None:
        """Look at the results of a substep; `warnings` are those since the start."""
        for name, value in (("qpos", qpos), ("qvel", qvel), ("qacc", qacc)):
            self._seen[name].append(value.double().cpu().clone())
        before = {warning for earlier in self._warnings for warning in earlier}
        self._warnings.append(tuple(warning for warning in warnings if warning not in before))
        self._diverged.append(diverged)

    def replay(self, after: Mapping[str, Tensor], differences: tuple[str, ...] = ()) -> Replay:
        """Return all that was seen."""
        model, step = self._model, self._step
        pos, vel, acc = (torch.stack(values) for values in self._seen.values())
        dofs = labels.of_dofs(model)
        controls, motors = step.controls.double(), labels.of_actuators(model)
        inputs = [Quantity(name="control", unit="rad", labels=motors, values=controls, bound=LARGEST)]
        if step.forces is not None:
            forces = step.forces.double().flatten(1)
            inputs.append(
                Quantity(name="external force", unit="N, N m", labels=labels.of_wrenches(model), values=forces)
            )
        results = [
            Quantity(name="acceleration", unit="rad/s^2, m/s^2", labels=dofs, values=acc, bound=LARGEST),
            Quantity(name="velocity", unit="rad/s, m/s", labels=dofs, values=vel, start=self._start[1], bound=LARGEST),
            Quantity(
                name="position",
                unit="rad, m",
                labels=labels.of_positions(model),
                values=pos,
                start=self._start[0],
                bound=LARGEST,
            ),
        ]
        return Replay(
            quantities=(*inputs, *results),
            diverged=tuple(self._diverged),
            warnings=tuple(self._warnings),
            after=after,
            fields=tuple(_field(model, name, value) for name, value in step.fields.items()),
            differences=differences,
        )


def replay(step: RecordedStep) -> Replay:
    """Step a recorded step again on the CPU. Raises MtrackError if its parts do not fit each other."""
    model = rebuild(step.model)
    watch = Watch(model, step)
    sim = Simulation(model, 1, 1, ("qacc",))
    fields = ModelFields(sim.batch, tuple(step.fields))
    restore(fields.tensors(), {f"field.{name}": value.unsqueeze(0) for name, value in step.fields.items()})
    restore({"rows": sim.rows}, {name: value.unsqueeze(0) for name, value in step.before.items()})
    watch.start(sim.qpos[0], sim.qvel[0])
    last = len(step.controls) - 1
    for substep, control in enumerate(step.controls):
        sim.ctrl[0] = control
        if step.forces is not None:
            sim.xfrc[0] = step.forces[substep]
        sim.step(mujoco.mjtStage.mjSTAGE_VEL if substep == last else mujoco.mjtStage.mjSTAGE_NONE)
        watch.look(sim.qpos[0], sim.qvel[0], sim.outputs["qacc"][0], sim.warnings(0), bool(sim.diverged()[0]))
    return watch.replay({"rows": sim.rows[0].clone()})


def _field(model: mujoco.MjModel, name: str, value: Tensor) -> FieldValue:
    owner, _, attribute = name.rpartition(".")
    nominal = torch.as_tensor(np.array(getattr(model.opt if owner else model, attribute)))
    names = labels.of_field(model, name, tuple(value.shape))
    return FieldValue(name=name, labels=names, value=value.double().flatten(), nominal=nominal.double().flatten())
