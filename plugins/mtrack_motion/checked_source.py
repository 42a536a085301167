"""Check the clips of any motion source like those of files: unusable clips are left out, with a reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from mtrack import Clip, Motion, MtrackError, RobotModel, SlotError
from mtrack.api.abilities import LeavesOut
from mtrack.errors import describe_error, is_from_user
from mtrack_motion.clip import content_hash
from mtrack_motion.clip_checks import why_unusable

_ARRAYS = ("root_pos", "root_quat_wxyz", "joint_pos")
_BEYOND = 2.0  # rad; no joint of a recording is that far beyond its limit, even with noise
_SHOWN = 10


class ContractError(Exception):
    """A source returned something that violates its contract."""


@contextmanager
def blamed(slot: str) -> Iterator[None]:
    """Attribute errors to the motion source of a slot, not to the command that uses it. Raises SlotError."""
    path = f"motions.{slot}"
    try:
        yield
    except ContractError as error:
        raise SlotError(path, str(error)) from None
    except MtrackError as error:
        raise SlotError(path, str(error), is_fault=False) from None
    except BaseException as error:  # sys.exit in a source is an error of the source
        if is_from_user(error):
            raise
        raise SlotError(path, describe_error(error)) from error


def usable_clips(source: Motion, robot: RobotModel) -> tuple[list[Clip], dict[str, str]]:
    """Return the clips of a source that a robot can use, and by name why other clips are left out.

    A source with `allow_jumps = True` keeps clips that jump. Raises ContractError, and whatever the source raises;
    MtrackError if no clip can be used.
    """
    usable: dict[str, Clip] = {}
    twins: dict[str, str] = {}
    clips = _returned(source.clips(robot))
    reasons = left_out_by(source)
    allow_jumps = bool(getattr(source, "allow_jumps", False))
    for clip in clips:
        reason = why_unusable(clip, robot, allow_jumps) or _why_out_of_reach(clip, robot)
        digest = "" if reason else content_hash(clip)
        if not reason and digest in twins:
            reason = f"is the same motion as '{twins[digest]}'"
        if reason:
            reasons[clip.name if clip.name not in reasons else f"{clip.name} ({len(reasons)})"] = reason
            continue
        if clip.name in usable:
            raise ContractError(f"two different clips are called '{clip.name}'; give each a unique name")
        usable[clip.name], twins[digest] = clip, clip.name
    if not usable:
        shown = [f"{name}: {reason}" for name, reason in list(reasons.items())[:_SHOWN]]
        more = [f"and {len(reasons) - _SHOWN} more"] if len(reasons) > _SHOWN else []
        raise MtrackError("\n  ".join(["none of its clips can be used", *shown, *more]))
    return list(usable.values()), reasons


def left_out_by(source: Motion) -> dict[str, str]:
    """Return the clips that a source left out itself, and why."""
    return dict(source.left_out) if isinstance(source, LeavesOut) and source.left_out else {}


def _returned(clips: object) -> list[Clip]:
    """Return the clips from a source as a list. Raises ContractError unless it is a sequence of clips."""
    if not isinstance(clips, Sequence) or isinstance(clips, str):
        raise ContractError(f"clips() returned {type(clips).__name__}; return a list of mtrack.api.types.Clip")
    if not clips:
        raise ContractError("clips() returned no clip; return at least one, or raise MotionError with the reason")
    for number, clip in enumerate(clips):
        if not isinstance(clip, Clip):
            raise ContractError(
                f"clips() returned {type(clip).__name__} as number {number}; return a list of mtrack.api.types.Clip"
            )
        for name in _ARRAYS:
            _require_array(clip, name)
    return list(clips)


def _require_array(clip: Clip, name: str) -> None:
    value = getattr(clip, name)
    if not isinstance(value, np.ndarray):
        kind = f"{type(value).__module__.partition('.')[0]}.{type(value).__name__}".removeprefix("builtins.")
        raise ContractError(f"clip '{clip.name}': {name} is a {kind}; give a numpy array of float32")
    if value.dtype != np.float32:
        raise ContractError(
            f"clip '{clip.name}': {name} is {value.dtype}, expected float32; convert it with .astype(np.float32)"
        )


def _why_out_of_reach(clip: Clip, robot: RobotModel) -> str:
    """Return which joint is far beyond its limits; empty if none is."""
    columns = [clip.joint_names.index(name) for name in robot.joint_names]
    low, high = robot.joint_range.numpy().T
    angles = clip.joint_pos[:, columns]
    beyond = np.maximum(angles - high, low - angles)
    frame, joint = np.unravel_index(int(beyond.argmax()), beyond.shape)
    if beyond[frame, joint] <= _BEYOND:
        return ""
    name = robot.joint_names[int(joint)]
    return (
        f"joint_pos, frame {frame}, {name}: the value is {angles[frame, joint]:.4g} rad, but the joint's range is "
        f"{low[joint]:.4g} to {high[joint]:.4g}; is it in degrees, or of another joint?"
    )
