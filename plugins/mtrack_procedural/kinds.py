"""The kinds of motion with their parameters, and the built-in clips."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence

import attrs

from mtrack.errors import did_you_mean
from mtrack_procedural import standing, stepping, walking
from mtrack_procedural.plan import MotionPlan

DEFAULT = ("stand", "squat", "reach", "sway", "step_in_place")
"""Clips that are made if a recipe names none: few and slow ones, for a first try."""
LIBRARY = "library"
"""A name that means all built-in clips."""


@attrs.frozen
class MotionKind:
    """A kind of motion: the function that plans it, and the prefix of its parameters."""

    plan: Callable[..., MotionPlan]
    prefix: str
    """For example, `squat_depth` is the `depth` of a `squat`."""
    lengths: tuple[str, ...] = ()
    """Parameters in m, which depend on the size of the robot."""
    speeds: tuple[str, ...] = ()
    """Parameters in m/s."""
    times: tuple[str, ...] = ()
    """Parameters in s with which the movement grows."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters, without the prefix."""
        given = inspect.signature(self.plan).parameters.values()
        return tuple(one.name for one in given if one.kind is one.KEYWORD_ONLY)


@attrs.frozen
class BuiltInClip:
    """One built-in clip: a kind, and the parameters that differ from their defaults."""

    kind: str
    parameters: Mapping[str, float] = attrs.field(factory=dict)
    side: str = ""


KINDS: Mapping[str, MotionKind] = {
    "stand": MotionKind(standing.stand, "stand", lengths=("sway",)),
    "squat": MotionKind(standing.squat, "squat", lengths=("depth",)),
    "reach": MotionKind(standing.reach, "reach"),
    "sway": MotionKind(standing.sway, "sway", lengths=("amplitude",)),
    "step_in_place": MotionKind(stepping.step_in_place, "step", lengths=("height",)),
    "wave": MotionKind(standing.wave, "wave"),
    "bow": MotionKind(standing.bow, "bow"),
    "kick": MotionKind(stepping.kick, "kick", lengths=("height", "distance")),
    "half_kneel": MotionKind(stepping.half_kneel, "kneel", lengths=("height",)),
    "walk": MotionKind(walking.walk, "walk", lengths=("height",), speeds=("speed", "sideways"), times=("period",)),
}

CLIPS: Mapping[str, BuiltInClip] = {
    **{name: BuiltInClip(name) for name in KINDS if name not in ("kick", "half_kneel", "walk")},
    **{f"kick_{side}": BuiltInClip("kick", {"count": 1}, side) for side in ("left", "right")},
    **{f"half_kneel_{side}": BuiltInClip("half_kneel", {}, side) for side in ("left", "right")},
    "walk_slow": BuiltInClip("walk", {"speed": 0.3}),
    "walk": BuiltInClip("walk"),
    "walk_fast": BuiltInClip("walk", {"speed": 0.7}),
    "walk_backward_slow": BuiltInClip("walk", {"speed": -0.2}),
    "walk_backward": BuiltInClip("walk", {"speed": -0.4}),
    "walk_curve_left": BuiltInClip("walk", {"speed": 0.5, "turn": 0.4}),
    "walk_curve_right": BuiltInClip("walk", {"speed": 0.5, "turn": -0.4}),
    "sidestep_left_slow": BuiltInClip("walk", {"speed": 0.0, "sideways": 0.07, "period": 0.45}),
    "sidestep_left": BuiltInClip("walk", {"speed": 0.0, "sideways": 0.14, "period": 0.4}),
    "sidestep_right_slow": BuiltInClip("walk", {"speed": 0.0, "sideways": -0.07, "period": 0.45}),
    "sidestep_right": BuiltInClip("walk", {"speed": 0.0, "sideways": -0.14, "period": 0.4}),
    "turn_left_slow": BuiltInClip("walk", {"speed": 0.0, "turn": 0.4}),
    "turn_left": BuiltInClip("walk", {"speed": 0.0, "turn": 0.9}),
    "turn_right_slow": BuiltInClip("walk", {"speed": 0.0, "turn": -0.4}),
    "turn_right": BuiltInClip("walk", {"speed": 0.0, "turn": -0.9}),
}


def built_in_clip(name: str) -> BuiltInClip:
    """Return a built-in clip; the name of a kind means a clip with its default parameters."""
    return CLIPS.get(name) or BuiltInClip(name)


def chosen(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of clips, each once; `library` is replaced by all clips."""
    return tuple(dict.fromkeys(clip for name in names for clip in (CLIPS if name == LIBRARY else (name,))))


def known_clips(_: object, attribute: attrs.Attribute[tuple[str, ...]], names: tuple[str, ...]) -> None:
    """Reject names that are not clips: the validator of a parameter. Raises ValueError."""
    if not names:
        raise ValueError(f"'{attribute.name}' is empty; choose from: {', '.join(_known())}")
    for name in names:
        if problem := unknown(name):
            raise ValueError(problem)


def unknown(name: str) -> str:
    """Return why a name is not a clip, and what to do; empty for a clip, a kind or `library`."""
    known = _known()
    if name in known:
        return ""
    hint = did_you_mean(name, known)
    return f"no built-in clip is named '{name}'{f'; {hint}' if hint else '.'} Choose from: {', '.join(known)}"


def _known() -> tuple[str, ...]:
    return (*CLIPS, *(kind for kind in KINDS if kind not in CLIPS), LIBRARY)
