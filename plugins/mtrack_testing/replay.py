"""The conformance suite of backends, continued: a recorded step that can be stepped again."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from mtrack.recorded_step import RecordedStep
from mtrack_testing.promises import Subject
from mtrack_testing.simulation import DECLARED_FIELD, SUBSTEPS, Simulation, rows_of
from mtrack_testing.worlds import World


def check_replay(subject: Subject, world: World, sim: Simulation) -> Iterator[str]:
    """Check that a recorded step, stepped again on its own, ends where it ended, and diverges if it did."""
    is_physical = world.compiled is not None
    one = Simulation(subject, world, forces=is_physical)
    one.put(one.everything)
    if is_physical:
        one.backend.field(DECLARED_FIELD)[1] *= 0.5
        one.backend.wrench[1, 0, 2] = 50.0
    one.run(0, 2)
    sound = one.backend.last_step(1)
    start = rows_of(one.start(), [3])
    start.joint_pos.fill_(torch.nan)
    one.backend.set_state(one.rows([3]), start)
    one.run(2, 3)
    for step, diverged in ((sound, False), (one.backend.last_step(3), True)):
        subject.require(
            len(step.controls) == SUBSTEPS and step.before.keys() == step.after.keys() and not _elsewhere(step),
            "last_step",
            f"{len(step.controls)} controls of a step of {SUBSTEPS} substeps, or tensors that are not on the CPU",
            "keep the state of all environments before a step's first substep, and what acts in each; copy on demand",
        )
        replay = subject.make().replay(step)
        subject.require(
            len(replay.diverged) == SUBSTEPS and replay.diverged[-1] is diverged,
            "replay",
            f"a step that {'diverged' if diverged else 'did not diverge'} is replayed as {replay.diverged}",
            "step it again as step() does, and judge each substep as broken() does",
        )
        differing = [name for name, value in step.after.items() if not _agree(value, replay.after[name], subject)]
        subject.require(
            not differing,
            "replay",
            f"a step made again ends elsewhere: {differing}",
            "record everything that a step depends on: state before it, controls, forces and model fields",
        )
    yield "replay"


def _elsewhere(step: RecordedStep) -> bool:
    tensors = [step.controls, *step.before.values(), *step.after.values(), *step.fields.values(), *step.model.values()]
    return any(tensor.device.type != "cpu" for tensor in tensors)


def _agree(one: Tensor, other: Tensor, subject: Subject) -> bool:
    """Compare exactly on a CPU; a GPU may add in another order."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    exact = subject.device == "cpu"
    return torch.allclose(one, other, rtol=0.0 if exact else 1e-3, atol=0.0 if exact else 1e-3, equal_nan=True)
