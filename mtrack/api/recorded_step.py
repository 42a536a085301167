"""A recorded control step of one environment, and its replay, to find out why a simulation diverged."""

from __future__ import annotations

import math
from collections.abc import Mapping

import attrs
from torch import Tensor


@attrs.frozen(eq=False, kw_only=True)
class RecordedStep:
    """The last control step of one environment, with all that is needed to step it again.

    It has D substeps. All tensors are on the CPU. Names and sizes are those of the engine, except for `controls`.
    """

    before: Mapping[str, Tensor]
    """Integration state before the first substep."""
    controls: Tensor
    """[D, U] control input of each substep, e.g. position targets [rad]."""
    forces: Tensor | None = None
    """[D, ...] external forces of each substep; None if no component applies forces."""
    fields: Mapping[str, Tensor] = attrs.field(factory=dict)
    """Model fields that have an own value in each environment."""
    after: Mapping[str, Tensor]
    """Integration state after the last substep, with the keys of `before`."""
    model: Mapping[str, Tensor] = attrs.field(factory=dict)
    """What the model is rebuilt from; neither a compiled binary nor a path of this machine."""
    engine: Mapping[str, object] = attrs.field(factory=dict)
    """Further JSON-able facts that the replay needs, such as buffer sizes and the device."""
    warnings: tuple[str, ...] = ()
    """Names of the warnings of the engine."""


@attrs.frozen(eq=False, kw_only=True)
class Quantity:
    """One quantity of a replay over D substeps."""

    name: str
    """Name in words, e.g. `joint velocity`."""
    unit: str
    labels: tuple[str, ...]
    """Joint, body or actuator of each of the n values."""
    values: Tensor
    """float64 [D, n], the input of each substep, or the result after it."""
    start: Tensor | None = None
    """float64 [n], the value before the first substep; None if it exists only during a substep."""
    bound: float = math.inf
    """Absolute value from which the engine considers it diverged."""


@attrs.frozen(eq=False, kw_only=True)
class FieldValue:
    """A model field of the replayed environment and its value in the compiled model, both float64 [n]."""

    name: str
    labels: tuple[str, ...]
    value: Tensor
    nominal: Tensor


@attrs.frozen(eq=False, kw_only=True)
class Replay:
    """The result of stepping a recorded step again, D substeps."""

    quantities: tuple[Quantity, ...]
    """Inputs first, then results."""
    diverged: tuple[bool, ...]
    """[D] whether the environment has diverged after each substep."""
    warnings: tuple[tuple[str, ...], ...]
    """[D] names of the warnings of the engine in each substep."""
    after: Mapping[str, Tensor]
    """Integration state after the last substep, as in `RecordedStep.after`."""
    fields: tuple[FieldValue, ...] = ()
    """Model fields of the environment."""
    differences: tuple[str, ...] = ()
    """Harmless reasons why numbers may differ from training, such as another device."""
