"""What can be made: kinds of motion with the prefix of their parameters, and the clips of the whole library."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping

import attrs

from mtrack_procedural import standing, stepping, walking
from mtrack_procedural.plan import Plan


@attrs.frozen
class Kind:
    """One kind of motion."""

    plan: Callable[..., Plan]
    prefix: str
    """Of its parameters: `squat_depth` is the `depth` of `squat`."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters, without prefix."""
        return tuple(name for name, one in inspect.signature(self.plan).parameters.items() if one.kind is one.KEYWORD_ONLY)


@attrs.frozen
class Preset:
    """A clip of the library: a kind with some parameters of its own."""

    kind: str
    parameters: Mapping[str, float] = attrs.field(factory=dict)
    side: str = "drawn"


KINDS: Mapping[str, Kind] = {
    "stand": Kind(standing.stand, "stand"),
    "squat": Kind(standing.squat, "squat"),
    "reach": Kind(standing.reach, "reach"),
    "wave": Kind(standing.wave, "wave"),
    "bow": Kind(standing.bow, "bow"),
    "sway": Kind(standing.sway, "sway"),
    "step_in_place": Kind(stepping.step_in_place, "step"),
    "kick": Kind(stepping.kick, "kick"),
    "half_kneel": Kind(stepping.half_kneel, "kneel"),
    "walk": Kind(walking.walk, "walk"),
}
