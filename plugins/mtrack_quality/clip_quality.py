"""Judges clips: their metrics, what makes them unusable, and problems that only make them flawed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import attrs
import numpy as np

from mtrack import Clip
from mtrack_motion.clip import content_hash
from mtrack_motion.clip_checks import why_unreadable, why_unusable
from mtrack_motion.continuity import breaks
from mtrack_motion.jumps import Break
from mtrack_quality.geometry import Array
from mtrack_quality.measure import CLEAR, Measures, Meter, runs

_SHORT_S = 1.0
_FAST_ROOT, _FAST_TURN = 8.0, 20.0  # m/s, a sprint; rad/s
_OFF_GROUND = 0.01  # m
_DEEP = 0.01  # m, in the floor, or two links in each other
_BEYOND = 0.01  # rad
_SLIDING = 0.2  # m/s, mean over contact
_LEAST_CONTACT = 0.05  # of the frames; with less contact, slides mean nothing
_HOVERING = 0.05  # of the frames


@attrs.frozen
class ClipProblem:
    """One problem of a clip."""

    kind: str
    """`ground`, `penetration`, `float`, `skate`, `joint_limits`, `joint_speed`, `fast`, `self_collision`, ...

    `jump`, `repeat` and `gap` are frames that do not match the frames around them.
    """
    brief: str
    """A few words, for a table."""
    text: str
    """A sentence: how much, in which frame, and what to do."""
    frame: int | None = None
    """The frame in which it is worst."""


@attrs.frozen(eq=False)
class ClipQuality:
    """The result of checking one clip."""

    name: str
    file: str
    frames: int = 0
    seconds: float = 0.0
    sha256: str = ""
    unusable: str = ""
    """Why training leaves the clip out; empty if training uses it."""
    problems: tuple[ClipProblem, ...] = ()
    metrics: Mapping[str, float] = attrs.field(factory=dict)
    """By name, with the unit at its end: m, s, rad, or a share."""
    measures: Measures | None = None

    @property
    def verdict(self) -> str:
        """`good`, `flawed`, or `unusable`."""
        return "unusable" if self.unusable else "flawed" if self.problems else "good"

    def facts(self) -> dict[str, object]:
        """Return everything except the time series, JSON-able."""
        kept = attrs.asdict(self, filter=lambda field, _: field.name != "measures", recurse=True)
        return {"verdict": self.verdict, **kept}


def judge(clip: Clip, file: str, meter: Meter, known: Mapping[str, str]) -> ClipQuality:
    """Return the quality of a clip; `known` has the name of an earlier clip by content hash."""
    digest = content_hash(clip)
    fault = why_unreadable(clip, meter.robot)
    quality = ClipQuality(clip.name, file, len(clip.root_pos), sha256=digest, unusable=fault)
    if quality.unusable:
        return quality
    seconds = (len(clip.root_pos) - 1) / clip.fps
    twin = f"is the same motion as '{known[digest]}'; leave one of them out" if digest in known else ""
    measures, broken = meter.measure(clip), breaks(clip, meter.robot)
    return attrs.evolve(
        quality,
        seconds=round(seconds, 6),
        unusable=why_unusable(clip, meter.robot) or twin,
        problems=(*(_of_break(one) for one in broken), *_problems(measures, seconds)),
        metrics=_metrics(measures) | {"jump_of_limit": round(max((one.severity for one in broken), default=0.0), 5)},
        measures=measures,
    )


def _of_break(one: Break) -> ClipProblem:
    return ClipProblem(one.kind, one.brief, f"{one.text}; {one.remedy}", one.frame)


def _metrics(m: Measures) -> dict[str, float]:
    """Return the metrics of a clip."""
    slides = m.slides[~np.isnan(m.slides)]
    metrics = {
        "ground_m": m.ground,
        "lowest_m": m.lowest.min(),
        "highest_low_m": m.lowest.max(),
        "penetrating_share": (m.lowest < -_DEEP).mean(),
        "hovering_share": m.hovers.mean(),
        "contact_share": m.touches.any(axis=1).mean(),
        "slide_m_per_s": slides.mean() if len(slides) else 0.0,
        "slide_m": slides.sum() / m.fps,
        "root_speed_m_per_s": m.root_speed.max(),
        "root_turning_rad_per_s": m.root_turning.max(),
        "joint_speed_of_limit": m.joint_speed.max(),
        "joint_margin_rad": m.margin.min(),
        "overlap_m": m.overlap.max(),
        "overlap_share": (m.overlap > _DEEP).mean(),
    }
    return {name: round(float(value), 5) for name, value in metrics.items()}


def _problems(m: Measures, seconds: float) -> Iterator[ClipProblem]:
    if seconds < _SHORT_S:
        yield ClipProblem("short", f"{seconds:.2g} s", f"is {seconds:.2g} s long; a policy learns little from it")
    yield from _heights(m)
    yield from _slides(m)
    yield from _speeds(m)
    yield from _limits(m)
    deepest = int(m.overlap.argmax())
    if m.overlap[deepest] > _DEEP:
        share = (m.overlap > _DEEP).mean()
        yield ClipProblem(
            "self_collision",
            f"self-collision {_cm(m.overlap[deepest])}",
            f"{m.pair[deepest]} overlap by {_cm(m.overlap[deepest])} in frame {deepest}; "
            f"{share:.0%} of the frames have links that overlap by more than {_cm(_DEEP)}",
            deepest,
        )


def _heights(m: Measures) -> Iterator[ClipProblem]:
    """Yield problems with the height above the floor."""
    if abs(m.ground) > _OFF_GROUND:
        word = "floats" if m.ground > 0 else "sunk"
        yield ClipProblem(
            "ground",
            f"{word} {_cm(abs(m.ground))}",
            f"its lowest point is {m.ground * 100:+.1f} cm from the floor (5th percentile); --fix ground shifts it",
        )
    deepest = int(m.lowest.argmin())
    depth, left = -m.lowest[deepest], m.ground - m.lowest[deepest]
    if depth > _DEEP:
        rest = f"; {_cm(left)} of it remain after --fix ground" if left > _DEEP else ""
        share = (m.lowest < -_DEEP).mean()
        yield ClipProblem(
            "penetration",
            f"in the floor {_cm(depth)}",
            f"is up to {_cm(depth)} in the floor, in frame {deepest}, and deeper than {_cm(_DEEP)} in {share:.0%} of "
            f"the frames{rest}",
            deepest,
        )
    if m.hovers.mean() > _HOVERING:
        first, end = max(runs(m.hovers), key=lambda run: run[1] - run[0])
        highest = first + int(m.lowest[first:end].argmax())
        yield ClipProblem(
            "float",
            f"hovers {m.hovers.mean():.0%}",
            f"neither touches anything nor falls in {m.hovers.mean():.0%} of the frames, longest for "
            f"{(end - first) / m.fps:.1f} s from frame {first}, up to {_cm(m.lowest[highest] - m.ground)} above its "
            f"ground (more than {_cm(CLEAR)} counts); a constant shift cannot fix this",
            highest,
        )


def _slides(m: Measures) -> Iterator[ClipProblem]:
    """Yield a problem if the feet slide in contact."""
    known = ~np.isnan(m.slides)
    if known.any(axis=1).mean() < _LEAST_CONTACT:
        return
    mean, worst = m.slides[known].mean(), int(np.where(known, m.slides, 0.0).max(axis=1).argmax())
    if mean > _SLIDING:
        yield ClipProblem(
            "skate",
            f"feet slide {mean:.2f} m/s",
            f"feet slide at {mean:.2f} m/s on average while they touch, fastest at {np.nanmax(m.slides[worst]):.2f} "
            f"m/s in frame {worst}, {m.slides[known].sum() / m.fps:.2f} m in all",
            worst,
        )


def _speeds(m: Measures) -> Iterator[ClipProblem]:
    """Yield what moves faster than is possible."""
    for values, limit, unit, verb in (
        (m.root_speed, _FAST_ROOT, "m/s", "moves"),
        (m.root_turning, _FAST_TURN, "rad/s", "turns"),
    ):
        frame = int(values.argmax())
        if values[frame] > limit:
            text = f"the root {verb} at {values[frame]:.1f} {unit} in frame {frame}; is {m.fps:g} fps right?"
            yield ClipProblem("fast", f"root {values[frame]:.0f} {unit}", text, frame)
    if m.joint_speed.max() > 1.0:
        frame, joint = _worst(m.joint_speed)
        share = (m.joint_speed.max(axis=1) > 1.0).mean()
        yield ClipProblem(
            "joint_speed",
            f"joint speed {m.joint_speed[frame, joint]:.0%}",
            f"{m.joints[joint]} moves at {m.joint_speed[frame, joint]:.0%} of its speed limit in frame {frame}; "
            f"{share:.0%} of the frames are above some joint's limit",
            frame,
        )


def _limits(m: Measures) -> Iterator[ClipProblem]:
    """Yield the joints that leave their range."""
    if m.margin.min() < -_BEYOND:
        frame, joint = _worst(-m.margin)
        many = int((m.margin < -_BEYOND).any(axis=0).sum())
        share = (m.margin < -_BEYOND).any(axis=1).mean()
        yield ClipProblem(
            "joint_limits",
            f"beyond range {-m.margin[frame, joint]:.2f} rad",
            f"{m.joints[joint]} is {-m.margin[frame, joint]:.2f} rad beyond its range in frame {frame}; {many} "
            f"joint{'s' if many > 1 else ''} in {share:.0%} of the frames",
            frame,
        )


def _worst(values: Array) -> tuple[int, int]:
    frame, joint = np.unravel_index(int(values.argmax()), values.shape)
    return int(frame), int(joint)


def _cm(metres: float) -> str:
    return f"{metres * 100:.1f} cm"
