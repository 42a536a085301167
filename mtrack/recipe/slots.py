"""What a checked recipe is made of: a slot for each component, with the keys the kernel owns there."""

from __future__ import annotations

from typing import Any

import attrs

from mtrack.api.fields import non_negative, param, params_of, positive
from mtrack.recipe.write import Table, plain
from mtrack.registry.registry import Entry, is_own

MAX_HISTORY = 1000
"""Steps back that an observation may reach at most."""


def _history(instance: object, attribute: attrs.Attribute[tuple[int, ...]], value: tuple[int, ...]) -> None:
    if any(steps < 0 for steps in value) or len(set(value)) != len(value):
        raise ValueError("expected different numbers of steps back, 0 being the present")
    if max(value, default=0) > MAX_HISTORY:
        raise ValueError(f"expected at most {MAX_HISTORY} steps back: all values up to the oldest are kept in memory")


AUTO = "auto"
"""The `use` that leaves the choice of a backend to the machine."""


@attrs.frozen(kw_only=True)
class Slot:
    """A component as a recipe uses it."""

    path: str
    """Dotted path of its table: `rewards.tracking.root_pos`."""
    kind: str
    use: str = attrs.field(eq=False)
    """As the recipe names it; `entry` says what that is."""
    entry: Entry
    cls: type
    params: dict[str, Any]
    """Every parameter, defaults included, of its annotated type."""
    origin: str = attrs.field(default="", eq=False)
    """File and line of its table: `my.toml:12`."""

    @property
    def group(self) -> str:
        """Group of an observation or reward."""
        return self.path.split(".")[1]

    @property
    def component(self) -> str:
        """Name of the component, with its distribution unless that is mtrack."""
        return self.entry.name if is_own(self.entry.distribution) else self.entry.full_name

    def build(self) -> Any:
        """Return a new component with these parameters."""
        return self.cls(**self.params)

    def __str__(self) -> str:
        """Return e.g. `reward 'root_pos' (mtrack 0.1.0) at rewards.tracking.root_pos (my.toml:12)`."""
        origin = f" ({self.origin})" if self.origin else ""
        return f"{self.entry} at {self.path}{origin}"

    def table(self) -> Table:
        """Return the table that gives this slot."""
        own = {name: getattr(self, name) for name in params_of(type(self))}
        known, is_auto = params_of(self.cls), self.use == AUTO  # on another machine that may not know these parameters
        params = {name: value for name, value in self.params.items() if not is_auto or value != known[name].default}
        values = {name: plain(value) for name, value in (own | params).items()}
        given = {name: value for name, value in values.items() if value is not None}
        return {"use": AUTO if is_auto else self.component, **given}


@attrs.frozen(kw_only=True)
class ObservationSlot(Slot):
    """One term of an observation group."""

    noise: float = param(default=0.0, validator=non_negative)
    """Standard deviation of the noise on each column [the observation's unit]."""
    history: tuple[int, ...] = param(default=(), validator=_history)
    """Steps back of the values given, at most 1000, 0 being the present; empty for the present value alone.

    Every environment keeps all values up to the oldest in memory.
    """


@attrs.frozen(kw_only=True)
class RewardSlot(Slot):
    """One term of a reward group."""

    weight: float = param(default=1.0)
    """Factor of the term."""


@attrs.frozen(kw_only=True)
class TerminationSlot(Slot):
    """One reason to end an episode."""

    grace_steps: int = param(default=0, validator=non_negative)
    """Control steps at the start of an episode in which the reason does not count."""


@attrs.frozen(kw_only=True)
class MotionSlot(Slot):
    """One source of clips."""

    weight: float = param(default=1.0, validator=positive)
    """Share in the drawing of clips, relative to the other sources."""


@attrs.frozen(kw_only=True)
class PhaseSlot(Slot):
    """One phase of a run."""

    frames: int = param(validator=positive)
    """Environment steps of the phase, all environments and processes together."""
    train_every: int = param(default=32, validator=positive)
    """Control steps of each environment between updates."""
    set: dict[str, Any] = param(factory=dict)  # noqa: RUF009  an attrs field
    """Recipe keys that are different in this phase."""


SLOT_CLASSES: dict[str, type[Slot]] = {
    "observation": ObservationSlot,
    "reward": RewardSlot,
    "termination": TerminationSlot,
    "motion": MotionSlot,
    "phase": PhaseSlot,
}
