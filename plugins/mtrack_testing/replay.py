"""Checks of a backend, continued: a recorded step can be replayed."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from mtrack import RecordedStep
from mtrack_testing.backend_trial import DECLARED_FIELD, SUBSTEPS, BackendTrial, start_of
from mtrack_testing.promises import ComponentUnderTest
from mtrack_testing.worlds import World


def check_replay(subject: ComponentUnderTest, world: World, sim: BackendTrial) -> Iterator[str]:
    """Check that a replayed step ends in the same state, and diverges if the original did."""
    is_physical = world.compiled is not None
    one = BackendTrial(subject, world, forces=is_physical)
    one.put(one.everything)
    if is_physical:
        one.backend.field(DECLARED_FIELD)[1] *= 0.5
        one.backend.wrench[1, 0, 2] = 50.0
    one.run(0, 2)
    sound = one.backend.last_step(1)
    start = start_of(one.start(), [3])
    start.joint_pos.fill_(torch.nan)
    one.backend.set_state(one.envs([3]), start)
    one.run(2, 3)
    for step, diverged in ((sound, False), (one.backend.last_step(3), True)):
        subject.require(
            len(step.controls) == SUBSTEPS and step.before.keys() == step.after.keys() and not _has_other_device(step),
            "last_step",
            f"{len(step.controls)} controls of a step of {SUBSTEPS} substeps, or tensors that are not on the CPU",
            "keep the state before the first substep and the inputs of each substep; copy them when asked",
        )
        replay = subject.make().replay(step)
        subject.require(
            len(replay.diverged) == SUBSTEPS and replay.diverged[-1] is diverged,
            "replay",
            f"a step that {'diverged' if diverged else 'did not diverge'} is replayed as {replay.diverged}",
            "step as step() does, and judge each substep as broken() does",
        )
        differing = [name for name, value in step.after.items() if not _agree(value, replay.after[name], subject)]
        subject.require(
            not differing,
            "replay",
            f"a replayed step ends in another state: {differing}",
            "record everything that a step depends on: the state before it, controls, forces and model fields",
        )
    yield "replay"


def _has_other_device(step: RecordedStep) -> bool:
    tensors = [step.controls, *step.before.values(), *step.after.values(), *step.fields.values(), *step.model.values()]
    return any(tensor.device.type != "cpu" for tensor in tensors)


def _agree(one: Tensor, other: Tensor, subject: ComponentUnderTest) -> bool:
    """Compare exactly on a CPU; a GPU may sum in another order."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    exact = subject.device == "cpu"
    return torch.allclose(one, other, rtol=0.0 if exact else 1e-3, atol=0.0 if exact else 1e-3, equal_nan=True)
