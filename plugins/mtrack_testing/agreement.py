"""Whether two backends simulate alike: the same states, targets and model fields lead to the same motion and forces."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from mtrack_testing.promises import Report, Subject
from mtrack_testing.simulation import DECLARED_FIELD, Simulation
from mtrack_testing.still_backend import FIELDS
from mtrack_testing.worlds import WORLD_OF_G1

TOLERANCES = {"joint_pos": 1e-4, "body_pos": 1e-4, "joint_torque": 0.02, "contacts": 0.2}
"""Largest differences [rad, m, N m, N]: some 50 times what single precision has been seen to make of them."""
_SOON, _LATE = 10, 50  # control steps; some robots fall in between, and a fall magnifies any difference
_FLOATING = 6  # degrees of freedom of the root


def check_agreement(cls: type, other: type, /, *, device: str = "cpu", **params: Any) -> Report:
    """Check that backend `cls`, on a device, moves the G1 as backend `other` does on the CPU. Raises BrokenPromise.

    Three times 50 control steps, on the ground, in the air, and with every model field that randomizations use
    different in each row: within `TOLERANCES` every row agrees after 10 steps, and half of the rows to the end. A robot
    that only stands agrees to the end.
    """
    subject, known = Subject("backend", cls, params, device=device), Subject("backend", other, {})
    notes = [*_standing(subject, known)]
    for name, height, fields in (("ground", 0.0, ()), ("air", 2.0, ()), ("fields", 0.0, FIELDS)):
        pair = [Simulation(one, WORLD_OF_G1, fields=fields or (DECLARED_FIELD,)) for one in (subject, known)]
        for sim in pair:
            _vary(sim, fields)
            sim.put(sim.everything, height)
        apart = _apart(*(sim.run(0, _SOON) for sim in pair))
        notes.append(_told(subject, f"{name}, {_SOON} steps", {key: value.max() for key, value in apart.items()}))
        apart = _apart(*(sim.run(_SOON, _LATE) for sim in pair))
        notes.append(_told(subject, f"{name}, {_LATE} steps", {key: value.median() for key, value in apart.items()}))
    return Report(str(subject), (WORLD_OF_G1.name,), ("agreement",), tuple(notes))


def _standing(subject: Subject, known: Subject) -> Iterator[str]:
    pair = [Simulation(one, WORLD_OF_G1) for one in (subject, known)]
    for sim in pair:
        sim.stand(_LATE)
    apart = _apart(*(sim.seen() for sim in pair))
    yield _told(subject, f"standing, {_LATE} steps", {key: value.max() for key, value in apart.items()})


def _vary(sim: Simulation, fields: tuple[str, ...]) -> None:
    """Give every row its own model."""
    for name in fields:
        field, draw = sim.backend.field(name), torch.Generator().manual_seed(len(name))
        random = torch.rand(field.shape, generator=draw, dtype=torch.float64).to(field)
        match name:
            case "dof_frictionloss" | "dof_damping":
                field[:, _FLOATING:] += 0.5 * random[:, _FLOATING:]
            case "body_ipos":
                field[:, 1:] += 0.03 * (random[:, 1:] - 0.5)
            case "opt.gravity":
                field += random - 0.5
            case "body_inertia":  # of all axes alike, or no body has it
                field *= 0.8 + 0.4 * random[..., :1]
            case _:
                field *= 0.8 + 0.4 * random
    if fields:
        sim.backend.update_constants(sim.everything)


def _apart(one: dict[str, Tensor], other: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the largest difference in each row, [N], by what is compared."""
    return {name: (one[name].cpu() - other[name].cpu()).abs().flatten(1).amax(1) for name in TOLERANCES}


def _told(subject: Subject, when: str, apart: dict[str, Tensor]) -> str:
    """Return the differences in words. Raises BrokenPromise where one is too large."""
    for name, value in apart.items():
        found = f"{name} is {float(value):.2g} off ({when}); tolerated: {TOLERANCES[name]}"
        subject.require(bool(value <= TOLERANCES[name]), "agreement", found, "the same model, solver and units")
    return f"{when}: " + ", ".join(f"{name} {float(value):.1g}" for name, value in apart.items())
