"""Steps a recorded control step again, and gathers the results of every substep."""

from __future__ import annotations

import mujoco
import torch
from torch import Tensor

from mtrack import MtrackError, RecordedStep, Replay
from mtrack.api.physics import LARGEST_STATE
from mtrack.api.recorded_step import FieldValue, Quantity
from mtrack_mujoco import labels
from mtrack_mujoco.description import rebuild
from mtrack_mujoco.engine_warnings import LARGEST
from mtrack_mujoco.interface import Simulations
from mtrack_mujoco.model_fields import compiled_value
from mtrack_mujoco.restore import restore
from mtrack_mujoco.simulation import MujocoSimulations


def replay(step: RecordedStep) -> Replay:
    """Step a recorded step again on the CPU. Raises MtrackError if its parts do not match each other."""
    again = StepReplay(step)
    return again.run(MujocoSimulations(again.model, 1, 1, ("qacc",), tuple(step.fields)))


class StepReplay:
    """A recorded step to be stepped again, by any engine."""

    model: mujoco.MjModel
    """Rebuilt from the record."""

    def __init__(self, step: RecordedStep) -> None:
        """Rebuild the model. Raises MtrackError if it does not match the rest of the record."""
        self.model, self._step = rebuild(step.model), step
        model, num_substeps = self.model, len(step.controls)
        wanted = (num_substeps, model.nbody, 6)
        if step.controls.shape[1] != model.nu or not num_substeps:
            raise MtrackError(f"there are controls of {step.controls.shape[1]} motors, but the model has {model.nu}")
        if step.forces is not None and tuple(step.forces.shape) != wanted:
            raise MtrackError(f"the forces are {list(step.forces.shape)}, but the model needs {list(wanted)}")
        self._results: dict[str, list[Tensor]] = {"qacc": [], "qvel": [], "qpos": []}
        self._warnings: list[tuple[str, ...]] = []
        self._diverged: list[bool] = []

    def run(self, sim: Simulations, differences: tuple[str, ...] = ()) -> Replay:
        """Step `sim`, one simulation of `model` with the recorded model fields; `differences` as in `Replay`."""
        step = self._step
        restore(sim.fields.tensors(), {f"field.{name}": value.unsqueeze(0) for name, value in step.fields.items()})
        restore(sim.state, {name: value.unsqueeze(0) for name, value in step.before.items()})
        start = {"qvel": _row(sim.qvel), "qpos": _row(sim.qpos)}
        for substep, control in enumerate(step.controls):
            sim.ctrl[0].copy_(control)
            if step.forces is not None:
                sim.xfrc[0].copy_(step.forces[substep])
            sim.step(last=substep == len(step.controls) - 1)
            self._observe(sim)
        return Replay(
            quantities=(*self._inputs(), *self._outputs(start)),
            diverged=tuple(self._diverged),
            warnings=tuple(self._warnings),
            after={name: tensor[0].cpu().clone() for name, tensor in sim.state.items()},
            fields=tuple(_field(self.model, name, value) for name, value in step.fields.items()),
            differences=differences,
        )

    def _observe(self, sim: Simulations) -> None:
        for name, value in (("qacc", sim.outputs["qacc"]), ("qvel", sim.qvel), ("qpos", sim.qpos)):
            self._results[name].append(_row(value))
        earlier = {warning for warnings in self._warnings for warning in warnings}
        self._warnings.append(tuple(warning for warning in sim.warnings(0) if warning not in earlier))
        self._diverged.append(bool(sim.diverged()[0]))

    def _inputs(self) -> list[Quantity]:
        model, step = self.model, self._step
        motors, controls = labels.of_actuators(model), step.controls.double()
        inputs = [Quantity(name="control", unit="rad", labels=motors, values=controls, bound=LARGEST)]
        if step.forces is not None:
            bodies, forces = labels.of_wrenches(model), step.forces.double().flatten(1)
            inputs.append(Quantity(name="external force", unit="N, N m", labels=bodies, values=forces))
        return inputs

    def _outputs(self, start: dict[str, Tensor]) -> list[Quantity]:
        dofs, coordinates = labels.of_dofs(self.model), labels.of_positions(self.model)
        return [
            Quantity(
                name=name,
                unit=unit,
                labels=names,
                values=torch.stack(self._results[array]),
                start=start.get(array),
                bound=bound,
            )
            for name, unit, array, names, bound in (
                ("acceleration", "rad/s^2, m/s^2", "qacc", dofs, LARGEST),
                ("velocity", "rad/s, m/s", "qvel", dofs, LARGEST_STATE),
                ("position", "rad, m", "qpos", coordinates, LARGEST_STATE),
            )
        ]


def _row(tensor: Tensor) -> Tensor:
    """Return a copy of the only row of a live array, float64 on the CPU."""
    return tensor[0].double().cpu().clone()


def _field(model: mujoco.MjModel, name: str, value: Tensor) -> FieldValue:
    nominal = compiled_value(model, name).double().flatten()
    names = labels.of_field(model, name, tuple(value.shape))
    return FieldValue(name=name, labels=names, value=value.double().flatten(), nominal=nominal)
