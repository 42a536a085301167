"""One control step of one environment: as a backend records it, and what is seen when it is stepped again."""

from __future__ import annotations

import math
from collections.abc import Mapping

import attrs
from torch import Tensor


@attrs.frozen(eq=False, kw_only=True)
class RecordedStep:
    """The last control step of one environment, complete enough to step it again; all tensors are on the CPU.

    D substeps. Only `controls` has a meaning that all backends share; the rest is in the engine's own names and sizes.
    """

    before: Mapping[str, Tensor]
    """The integration state before the first substep."""
    controls: Tensor
    """[D, U] what drove each substep, e.g. position targets [rad]."""
    forces: Tensor | None = None
    """[D, ...] external forces of each substep; None if no component applies any."""
    fields: Mapping[str, Tensor] = attrs.field(factory=dict)
    """Model fields with a value of their own in this environment."""
    after: Mapping[str, Tensor]
    """The integration state after the last substep, with the names of `before`."""
    model: Mapping[str, Tensor] = attrs.field(factory=dict)
    """What the model is built from again; no compiled binary, and no path of this machine."""
    engine: Mapping[str, object] = attrs.field(factory=dict)
    """JSON-able facts that the backend needs to step it again, such as sizes of buffers and the device."""
    warnings: tuple[str, ...] = ()
    """What the engine complained of, by name."""


@attrs.frozen(eq=False, kw_only=True)
class Quantity:
    """One quantity of a replayed environment, through D substeps."""

    name: str
    """In words: `joint velocity`."""
    unit: str
    labels: tuple[str, ...]
    """The joint, body or actuator of each of the n values."""
    values: Tensor
    """float64 [D, n]: inputs of each substep, or results after it."""
    start: Tensor | None = None
    """float64 [n] before the first substep; None for what only a substep has."""
    bound: float = math.inf
    """Absolute value from which the engine calls a result diverged."""


@attrs.frozen(eq=False, kw_only=True)
class FieldValue:
    """A model field of a replayed environment, beside the value of the compiled model; both float64 [n]."""

    name: str
    labels: tuple[str, ...]
    value: Tensor
    nominal: Tensor


@attrs.frozen(eq=False, kw_only=True)
class Replay:
    """What a recorded step did when it was stepped again."""

    quantities: tuple[Quantity, ...]
    """Inputs first, then results."""
    diverged: tuple[bool, ...]
    """[D] whether the environment counts as diverged after each substep."""
    warnings: tuple[tuple[str, ...], ...]
    """[D] what the engine complained of in each substep, by name."""
    after: Mapping[str, Tensor]
    """As `RecordedStep.after`."""
    fields: tuple[FieldValue, ...] = ()
    """Model fields of this environment."""
    differences: tuple[str, ...] = ()
    """Why numbers may differ from those of training although nothing is wrong, such as another device."""
