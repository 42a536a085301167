"""The slots of a checked recipe: a component with its parameters, and the keys that the kernel reads."""

from __future__ import annotations

from typing import Any

import attrs

from mtrack.api.fields import between, default_of, non_negative, param, params_of, positive
from mtrack.api.schedule import Schedule
from mtrack.api.until import Until
from mtrack.recipe.write import Table
from mtrack.registry.plain import plain
from mtrack.registry.registry import Entry, is_own

MAX_HISTORY = 1000
"""Largest number of control steps that the history of an observation may go back."""
LARGEST_WEIGHT = 1e6
"""Largest size of the weight of a reward, and of the scale of a group: more is a mistake, and makes losses infinite."""


def _history(instance: object, attribute: attrs.Attribute[tuple[int, ...]], value: tuple[int, ...]) -> None:
    if any(steps < 0 for steps in value) or len(set(value)) != len(value):
        raise ValueError("expected different numbers of steps back; 0 is the current step")
    if max(value, default=0) > MAX_HISTORY:
        raise ValueError(f"expected at most {MAX_HISTORY} steps back, because all these values are kept in memory")


AUTO = "auto"
"""The value of `device`, or of `use` of a backend, that lets mtrack choose."""


@attrs.frozen(kw_only=True)
class Slot:
    """A component in a recipe."""

    path: str
    """Dotted path of its table: `rewards.tracking.root_pos`."""
    kind: str
    """Kind of the component, e.g. `reward`."""
    use: str = attrs.field(eq=False)
    """Name of the component in the recipe; `entry` is what it means."""
    entry: Entry
    cls: type
    params: dict[str, Any]
    """All parameters, including defaults, converted to their types."""
    origin: str = attrs.field(default="", eq=False)
    """File and line of its table: `my.toml:12`."""

    @property
    def group(self) -> str:
        """Group of an observation or reward."""
        return self.path.split(".")[1]

    @property
    def component(self) -> str:
        """Name of the component; it includes the distribution unless that is mtrack."""
        return self.entry.name if is_own(self.entry.distribution) else self.entry.full_name

    def build(self) -> Any:
        """Create a component with these parameters."""
        return self.cls(**self.params)

    def left_at_default(self) -> list[str]:
        """Return the keys of its table, without `use`, whose values are the defaults."""
        own = params_of(type(self))
        values = {name: getattr(self, name) for name in own} | self.params
        fields = own | params_of(self.cls)
        return [name for name, value in values.items() if value == default_of(fields[name])]

    def __str__(self) -> str:
        """Return e.g. `reward 'root_pos' (mtrack 0.1.0) at rewards.tracking.root_pos (my.toml:12)`."""
        origin = f" ({self.origin})" if self.origin else ""
        return f"{self.entry} at {self.path}{origin}"

    def table(self) -> Table:
        """Return the recipe table of this slot."""
        own = {name: getattr(self, name) for name in params_of(type(self))}
        params, use = self.params, self.component
        if self.use == AUTO:  # on another machine it may choose a backend without these parameters: omit defaults
            known, use = params_of(self.cls), AUTO
            params = {name: value for name, value in params.items() if value != known[name].default}
        values = {name: plain(value) for name, value in (own | params).items()}
        return {"use": use, **{name: value for name, value in values.items() if value is not None}}


@attrs.frozen(kw_only=True)
class ObservationSlot(Slot):
    """One term of an observation group."""

    noise: float = param(default=0.0, validator=non_negative)
    """Standard deviation of the noise on each column [the observation's unit]."""
    history: tuple[int, ...] = param(default=(), validator=_history)
    """Control steps back of the observed values, 0 to 1000, all kept in memory; empty for only the current value."""


@attrs.frozen(kw_only=True)
class RewardSlot(Slot):
    """One term of a reward group."""

    weight: float = param(default=1.0, validator=between(-LARGEST_WEIGHT, LARGEST_WEIGHT))
    """Factor on the term, at most 1,000,000."""


def _scale(instance: object, attribute: attrs.Attribute[Schedule], value: Schedule) -> None:
    if max(abs(value.start), abs(value.end)) > LARGEST_WEIGHT:
        raise ValueError(f"expected a scale of at most {LARGEST_WEIGHT:,.0f}")


@attrs.frozen(kw_only=True)
class RewardGroup:
    """Settings of one reward group."""

    scale: Schedule = param(default=Schedule.constant(1.0), validator=_scale)  # noqa: RUF009  an attrs field
    """Factor on all rewards of the group, a number or a schedule, at most 1,000,000."""


@attrs.frozen(kw_only=True)
class TerminationSlot(Slot):
    """One reason to end an episode."""

    grace_steps: int = param(default=0, validator=non_negative)
    """Control steps at the start of an episode during which it is ignored."""


@attrs.frozen(kw_only=True)
class MotionSlot(Slot):
    """One source of motion clips."""

    weight: float = param(default=1.0, validator=positive)
    """Weight of this source when a clip is drawn, relative to the other sources."""


@attrs.frozen(kw_only=True)
class PhaseSlot(Slot):
    """One phase of training."""

    frames: int = param(validator=positive)
    """Environment steps of the phase, summed over all environments and processes."""
    until: Until | None = param(default=None)  # noqa: RUF009  an attrs field
    """Ends the phase early: once metrics have been past bounds (`above`, `below`) for `patience` frames in a row."""
    train_every: int = param(default=32, validator=positive)
    """Control steps of each environment per update."""
    set: dict[str, Any] = param(factory=dict)  # noqa: RUF009  an attrs field
    """Recipe keys that have other values in this phase."""


SLOT_CLASSES: dict[str, type[Slot]] = {
    "observation": ObservationSlot,
    "reward": RewardSlot,
    "termination": TerminationSlot,
    "motion": MotionSlot,
    "phase": PhaseSlot,
}
