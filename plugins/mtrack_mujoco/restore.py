"""Copies a saved state, or that of a recorded step, into the live tensors of simulations."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mtrack import CheckpointError, MtrackError, RecordedStep
from mtrack_mujoco.interface import Simulations


def restore(own: Mapping[str, Tensor], saved: Mapping[str, Tensor]) -> None:
    """Copy saved tensors into tensors of the same names and shapes. Raises CheckpointError if they differ."""
    for name, tensor in own.items():
        if name not in saved:
            raise CheckpointError(f"the saved physics lacks '{name}': it is from another version or recipe")
        if saved[name].shape != tensor.shape:
            shapes = f"{list(saved[name].shape)}, not {list(tensor.shape)}"
            raise CheckpointError(f"the saved physics has '{name}' of shape {shapes}: it is from another recipe")
    for name, tensor in own.items():
        tensor.copy_(saved[name])


def restore_record(step: RecordedStep, env_id: int, sim: Simulations, description: Mapping[str, Tensor]) -> None:
    """Put one simulation into the state before a recorded step, with its model fields; all other fields are nominal.

    `description` is that of the model that is simulated. Raises MtrackError if the step is of another model, or has a
    model field that is not declared here.
    """
    if not torch.equal(step.model["layout"], description["layout"]):
        raise MtrackError("the state is of another robot or model: use the run that it was saved from")
    fields = {name.removeprefix("field."): live for name, live in sim.fields.tensors().items()}
    unknown = step.fields.keys() - fields.keys()
    if unknown:
        raise MtrackError(f"the state has its own {', '.join(sorted(unknown))}, which no component changes here")
    for name, live in fields.items():
        live[env_id].copy_(step.fields[name] if name in step.fields else sim.fields.nominal(name))
    for name, live in sim.state.items():
        live[env_id].copy_(step.before[name])
