"""From a file's skeleton to a person: names, unit and axes are found, checked and reported."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs
import numpy as np

from mtrack import MotionError, SkeletonMotion
from mtrack_retarget.axes import check_not_mirrored, find_up, turn_up
from mtrack_retarget.joint_names import Naming, by_convention, by_table, why_not_named
from mtrack_retarget.person import SIDES, Person
from mtrack_retarget.proportions import body_height, check_bones, find_unit
from mtrack_retarget.robot_motion import Array

_FPS = (1.0, 1000.0)
_FARTHEST = 1e9
"""Positions beyond this are as wrong as NaN, whatever the unit."""
_AT_REST = 1e-4
"""Share of the height: no person holds as still as that."""
_JUMP, _JUMP_RATIO = 0.1, 5.0
"""A change of the pose from one frame to the next: share of the height, and relative to the following ones."""
_NEARER = 0.7
"""Distance of the first frame from the rest pose, relative to that of the second one."""
_FEWEST_AFTER_REST = 3
"""Frames that show how fast the motion is."""
_SHORTEST_FOOT = 0.01
"""Share of the height; a toe nearer to the ankle says nothing about where the foot points."""


@attrs.frozen
class SkeletonReading:
    """What a skeleton was taken for."""

    convention: str
    joints: Mapping[str, str]
    """Joint of each part."""
    unit: str
    up: str
    height: float
    """m, estimated along the bones."""
    assumed: tuple[str, ...]
    """What the file does not say."""

    def lines(self) -> list[str]:
        """Return the report, one line each."""
        joints = ", ".join(f"{part} = {joint}" for part, joint in self.joints.items())
        return [
            f"joint names: {self.convention}",
            f"joints: {joints}",
            f"unit: {self.unit}; up: {self.up}; the person is about {self.height:.2f} m tall",
            *(f"assumed: {note}" for note in self.assumed),
        ]


def to_person(
    motion: SkeletonMotion,
    names: Path | None = None,
    unit: str | None = None,
    up: str | None = None,
    place: str = "",
) -> tuple[Person, SkeletonReading]:
    """Return the person in a skeleton motion, and what it was taken for.

    `names` is a TOML file with the joint of each part; `unit` one of m, cm, mm, in, cmu, or metres per unit as text;
    `up` one of x, y, z, -x, -y, -z. `place` names the file in errors. Raises MotionError with joint, frame and remedy.
    """
    place = place or motion.source or f"motion '{motion.name}'"
    fps = _checked_rate(motion, place)
    naming = _named(motion, names, place)
    parts = {part: np.asarray(motion.pos[:, joint], np.float64) for part, joint in naming.joints.items()}
    joints = {part: motion.joint_names[joint] for part, joint in naming.joints.items()}
    _check_finite(parts, joints, place)
    height = body_height(parts)
    if not height > 0.0:
        raise MotionError(f"{place}: all joints are at one point; export it again")
    _check_moving(parts, height, place)
    check_bones(parts, height, joints, place)
    parts, dropped = _without_short_feet(parts, height)
    found, guessed_unit = find_unit(height, unit, motion.unit_m, place)
    rest = None
    if motion.rest_pos is not None:
        rest = {part: np.asarray(motion.rest_pos[joint], np.float64)[None] for part, joint in naming.joints.items()}
    parts, without_rest = _without_rest_frame(parts, rest, height)
    axis, guessed_up = find_up(parts, rest, up, motion.up, place)
    world = {part: turn_up(pos, axis) * found.metres for part, pos in parts.items()}
    unchecked = check_not_mirrored(world, place)
    person = Person(name=motion.name, fps=fps, parts=world, source=motion.source, licence=motion.licence)
    assumed = (*naming.assumed, guessed_unit, guessed_up, dropped, without_rest, unchecked)
    reading = SkeletonReading(
        convention=naming.convention,
        joints={part: joints[part] for part in world},
        unit=found.title,
        up=axis,
        height=height * found.metres,
        assumed=tuple(filter(None, assumed)),
    )
    return person, reading


def _checked_rate(motion: SkeletonMotion, place: str) -> float:
    if len(motion.pos) < 2:
        raise MotionError(f"{place}: has {len(motion.pos)} frames; a motion needs at least 2")
    if motion.fps is None:
        raise MotionError(f"{place}: does not say its frame rate; give it with --fps")
    if not _FPS[0] <= motion.fps <= _FPS[1]:
        raise MotionError(
            f"{place}: has a frame rate of {motion.fps:.4g} per second, expected {_FPS[0]:g} to {_FPS[1]:g}; give the "
            "right one with --fps"
        )
    return float(motion.fps)


def _named(motion: SkeletonMotion, names: Path | None, place: str) -> Naming:
    if names is not None:
        return by_table(names, motion.joint_names)
    naming = by_convention(motion.joint_names)
    if naming is None:
        raise MotionError(f"{place}: {why_not_named(motion.joint_names)}")
    return naming


def _check_finite(parts: Mapping[str, Array], joints: Mapping[str, str], place: str) -> None:
    for part, pos in parts.items():
        bad = np.flatnonzero(~(np.abs(pos) < _FARTHEST).all(axis=1))
        if len(bad):
            raise MotionError(
                f"{place}: joint '{joints[part]}' is not finite in frame {bad[0]} ({len(bad)} of {len(pos)} frames); "
                "fill the gaps where it was recorded, or cut these frames out"
            )


def _check_moving(parts: Mapping[str, Array], height: float, place: str) -> None:
    extent = max(float(np.ptp(pos, axis=0).max()) for pos in parts.values())
    if extent < _AT_REST * height:
        raise MotionError(
            f"{place}: has only a rest pose: all frames are equal; export the animation, not only the skeleton"
        )


def _without_short_feet(parts: dict[str, Array], height: float) -> tuple[dict[str, Array], str]:
    """Remove toes that are at the ankle, and say so."""
    short = [
        f"{side}_toe"
        for side in SIDES
        if f"{side}_toe" in parts
        and np.median(np.linalg.norm(parts[f"{side}_toe"] - parts[f"{side}_ankle"], axis=1)) < _SHORTEST_FOOT * height
    ]
    kept = {part: pos for part, pos in parts.items() if part not in short}
    return kept, f"no toes: {', '.join(short)} is at the ankle" if short else ""


def _without_rest_frame(
    parts: dict[str, Array], rest: Mapping[str, Array] | None, height: float
) -> tuple[dict[str, Array], str]:
    """Remove the first frame if it is the rest pose of the file, from which the motion jumps, and say so.

    Such a frame need not have the shape of the rest pose exactly: CMU's has straight legs, its rest pose does not.
    """
    frames = len(parts["pelvis"])
    if rest is None or frames < _FEWEST_AFTER_REST + 1:
        return parts, ""
    shown = slice(_FEWEST_AFTER_REST + 1)
    first = np.stack([pos[shown] - parts["pelvis"][shown] for pos in parts.values()])
    resting = np.stack([rest[part] - rest["pelvis"] for part in parts])
    from_rest = np.linalg.norm(first[:, :2] - resting, axis=-1).mean(axis=0)
    jump, *others = np.linalg.norm(np.diff(first, axis=1), axis=-1).max(axis=0)
    jumps = jump > _JUMP * height and jump > _JUMP_RATIO * max(others)
    if not jumps or from_rest[0] > _NEARER * from_rest[1]:
        return parts, ""
    kept = {part: pos[1:] for part, pos in parts.items()}
    return kept, "frame 0 is the rest pose, from which the motion jumps: left it out"
