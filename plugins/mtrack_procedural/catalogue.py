"""List what can be made, with the parameters of each kind, and turn a user's choice into a motion source."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any, cast

import attrs

from mtrack import MotionError
from mtrack.api.fields import params_of
from mtrack.errors import did_you_mean
from mtrack_procedural.kinds import CLIPS, KINDS, LIBRARY, built_in_clip, unknown
from mtrack_procedural.plan import SIDES
from mtrack_procedural.source import Procedural


@attrs.frozen
class Parameter:
    """One parameter of a kind of motion."""

    name: str
    default: float
    low: float
    high: float
    help: str
    """With its unit in brackets."""

    @property
    def is_whole(self) -> bool:
        """Whether it counts something."""
        return isinstance(self.default, int)

    def value(self, text: str) -> float:
        """Return a value from text. Raises MotionError."""
        try:
            number = int(text) if self.is_whole else float(text)
        except ValueError:
            what = "whole number" if self.is_whole else "number"
            raise MotionError(f"--{self.name} {text}: is not a {what}; {self._remedy}") from None
        if not self.low <= number <= self.high:
            raise MotionError(f"--{self.name} {text}: is out of bounds; {self._remedy}")
        return number

    @property
    def _remedy(self) -> str:
        return f"choose one from {self.low:g} to {self.high:g}: {self.help}"


def parameters(kind: str) -> dict[str, Parameter]:
    """Return the parameters of a kind by name: those of the motion source, without their prefix."""
    # Python does not keep the literal under each field
    helps = dict(re.findall(r'^    (\w+): .*\n    """(.+)"""$', inspect.getsource(Procedural), re.MULTILINE))
    found, prefix = {}, KINDS[kind].prefix
    for name in KINDS[kind].parameters:
        field = params_of(Procedural)[f"{prefix}_{name}"]
        low, high = (part.bound for part in field.validator._validators)  # type: ignore[union-attr]
        found[name] = Parameter(name, cast(float, field.default), low, high, helps[field.name])
    return found


def source_for(name: str, given: Mapping[str, str], side: str, seed: int, variants: int, spread: float) -> Procedural:
    """Return the motion source for a user's choice: the name of a clip or kind, and some parameters as text.

    Raises MotionError for unknown names and for values out of bounds.
    """
    common: dict[str, Any] = {"seed": seed, "variants": variants, "spread": spread}
    if problem := unknown(name):
        raise MotionError(f"--kind {name}: {problem}")
    if side not in ("", *SIDES):
        raise MotionError(f"--side {side}: is not a side; choose left or right, or omit it for a random side")
    if not given and not side:
        return Procedural(motions=(name,), **common)
    if name == LIBRARY:
        raise MotionError(f"--{next(iter(given), 'side')}: the library has many kinds; choose one with --kind")
    clip = built_in_clip(name)
    prefix, values = KINDS[clip.kind].prefix, dict(clip.parameters) | _values(clip.kind, given)
    prefixed: dict[str, Any] = {f"{prefix}_{key}": value for key, value in values.items()}
    source = Procedural(motions=(clip.kind,), side=side or clip.side or "any", **common, **prefixed)
    source.exact = frozenset(f"{prefix}_{key}" for key in given)
    return source


def _values(kind: str, given: Mapping[str, str]) -> dict[str, float]:
    known = parameters(kind)
    for name in given:
        if name not in known:
            hint = did_you_mean(name, known)
            raise MotionError(f"--{name}: {kind} has no such parameter; {hint or 'choose from'} {', '.join(known)}")
    return {name: known[name].value(text) for name, text in given.items()}


def listing() -> dict[str, object]:
    """Return everything that can be made for JSON: the kinds with their parameters, and the built-in clips."""
    kinds = {name: [attrs.asdict(one) for one in parameters(name).values()] for name in KINDS}
    return {"kinds": kinds, "library": {name: attrs.asdict(clip) for name, clip in CLIPS.items()}}


def listed() -> str:
    """Return everything that can be made as text."""
    lines = ["kinds and their parameters: default, bounds, meaning"]
    for kind in KINDS:
        lines += ["", kind]
        for one in parameters(kind).values():
            lines.append(f"  --{one.name:<10}{one.default:>5g}   {f'{one.low:g} to {one.high:g}':<13} {one.help}")
    lines += ["", "Defaults in m and m/s fit a G1; for another robot they are scaled to its legs."]
    lines += ["", f"built-in clips (--kind {LIBRARY} makes all)", ""]
    for name, clip in CLIPS.items():
        options = [f"--{key} {value:g}" for key, value in clip.parameters.items()]
        options += [f"--side {clip.side}"] if clip.side else []
        lines.append(" ".join((f"  {name:<20} --kind {clip.kind}", *options)))
    return "\n".join(lines)
