"""Checks that two backends simulate alike: equal states, targets and model fields give equal motion and forces."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from mtrack_testing.backend_trial import DECLARED_FIELD, BackendTrial
from mtrack_testing.promises import ComponentUnderTest, Report
from mtrack_testing.still_backend import FIELDS
from mtrack_testing.worlds import G1_WORLD

TOLERANCES = {"joint_pos": 1e-4, "body_pos": 1e-4, "joint_torque": 0.02, "contacts": 0.2}
"""Largest allowed differences [rad, m, N m, N]: about 50 times the differences seen in single precision."""
_SOON, _LATE = 10, 50  # control steps; some robots fall between these, and a fall amplifies every difference
_FLOATING = 6  # degrees of freedom of the root


def check_agreement(cls: type, other: type, /, *, device: str = "cpu", **params: Any) -> Report:
    """Check that backend `cls`, on a device, moves the G1 as backend `other` does on the CPU. Raises BrokenPromise.

    Runs 50 control steps on the ground, in the air, and with different model fields in each environment. All
    environments must agree within `TOLERANCES` after 10 steps and half of them after 50; standing robots after 50.
    """
    subject, reference = (
        ComponentUnderTest("backend", cls, params, device=device),
        ComponentUnderTest("backend", other, {}),
    )
    notes = [*_standing(subject, reference)]
    for name, height, fields in (("ground", 0.0, ()), ("air", 2.0, ()), ("fields", 0.0, FIELDS)):
        pair = [BackendTrial(one, G1_WORLD, fields=fields or (DECLARED_FIELD,)) for one in (subject, reference)]
        for sim in pair:
            _vary(sim, fields)
            sim.put(sim.everything, height)
        apart = _apart(*(sim.run(0, _SOON) for sim in pair))
        notes.append(
            _require_near(subject, f"{name}, {_SOON} steps", {key: value.max() for key, value in apart.items()})
        )
        apart = _apart(*(sim.run(_SOON, _LATE) for sim in pair))
        notes.append(
            _require_near(subject, f"{name}, {_LATE} steps", {key: value.median() for key, value in apart.items()})
        )
    return Report(str(subject), (G1_WORLD.name,), ("agreement",), tuple(notes))


def _standing(subject: ComponentUnderTest, reference: ComponentUnderTest) -> Iterator[str]:
    pair = [BackendTrial(one, G1_WORLD) for one in (subject, reference)]
    for sim in pair:
        sim.stand(_LATE)
    apart = _apart(*(sim.seen() for sim in pair))
    yield _require_near(subject, f"standing, {_LATE} steps", {key: value.max() for key, value in apart.items()})


def _vary(sim: BackendTrial, fields: tuple[str, ...]) -> None:
    """Give every environment its own model."""
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
            case "body_inertia":  # equal on all axes, so that it stays physical
                field *= 0.8 + 0.4 * random[..., :1]
            case _:
                field *= 0.8 + 0.4 * random
    if fields:
        sim.backend.update_constants(sim.everything)


def _apart(one: dict[str, Tensor], other: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the largest difference per environment, [N], by quantity."""
    return {name: (one[name].cpu() - other[name].cpu()).abs().flatten(1).amax(1) for name in TOLERANCES}


def _require_near(subject: ComponentUnderTest, when: str, apart: dict[str, Tensor]) -> str:
    """Return a line with the differences. Raises BrokenPromise if one is too large."""
    for name, value in apart.items():
        found = f"{name} differs by {float(value):.2g} ({when}); the tolerance is {TOLERANCES[name]}"
        subject.require(bool(value <= TOLERANCES[name]), "agreement", found, "use the same model, solver and units")
    return f"{when}: " + ", ".join(f"{name} {float(value):.1g}" for name, value in apart.items())
