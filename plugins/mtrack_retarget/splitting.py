"""`mtrack motions split`: cuts long motions into clips, in frames in which the robot stands."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import attrs
import numpy as np

from mtrack import Clip, MotionError
from mtrack.registry.registry import Registry
from mtrack_motion.chosen_robot import chosen_robot
from mtrack_motion.clip_checks import why_unreadable
from mtrack_motion.reading import each_clip
from mtrack_quality.geometry import Geometry
from mtrack_retarget.body import PlacedBody
from mtrack_retarget.output import CLASH, Output
from mtrack_retarget.robot_motion import Array, Flags, RobotMotion
from mtrack_retarget.stance import StanceFinder
from mtrack_retarget.tracked import track_motion

_EARLIEST = 0.5  # of the longest clip: a cut is looked for from there on
_MOVING = 0.3  # what a moving foot costs, in rad/s of joint speed
_FLYING = 30.0


@attrs.frozen
class SplitResult:
    """One clip that was cut out, or a motion that could not be cut; JSON-able."""

    source: str
    clip: str = ""
    file: str = ""
    first_frame: int = 0
    frames: int = 0
    seconds: float = 0.0
    feet: int = 0
    """Feet that stand in its last frame."""
    done_before: bool = False
    """The file of an earlier command was kept, because it is the same."""
    problem: str = ""


@attrs.frozen
class SplitLengths:
    """How long clips may be [s]."""

    longest: float
    shortest: float

    def __attrs_post_init__(self) -> None:
        if not 0.0 < self.shortest <= self.longest / 2.0:
            raise MotionError(
                f"--shortest {self.shortest:g}: must be above 0 and at most half of --longest {self.longest:g}"
            )


def split_motions(path: Path, output: Output, robot: str, lengths: SplitLengths) -> Iterator[SplitResult]:
    """Yield the clips that are cut out of the motions of a path. Raises MtrackError."""
    body = chosen_robot(Registry.scan(), robot)
    placed, geometry, stances = PlacedBody(body), Geometry(body), StanceFinder(body)
    output.prepare()
    written = set[str]()
    for file, read in each_clip(path):
        name = file.stem
        try:
            clip = read()
            name = clip.name
            if problem := why_unreadable(clip, placed.names):
                raise MotionError(problem)
            motion = RobotMotion.of(clip, placed.names)
            stands = stances(motion, track_motion(placed, geometry, motion))
            for result in _parts(clip, str(file), stands, [*find_cuts(motion, stands.sum(axis=1), lengths)], output):
                clashes = result.file in written and not result.done_before
                written.add(result.file)
                yield attrs.evolve(result, problem=f"{result.file} {CLASH}") if clashes else result
        except MotionError as error:
            yield SplitResult(str(file), name, problem=str(error).removeprefix(f"{file}: "))


def _parts(clip: Clip, source: str, stands: Flags, cuts: list[int], output: Output) -> Iterator[SplitResult]:
    """Write the parts of a clip, and yield their results. Raises MotionError."""
    ends = [0, *cuts, len(clip.root_pos) - 1]
    for number, (first, last) in enumerate(itertools.pairwise(ends)):
        part = _part(clip, first, last, number)
        done_before = output.has_same(part)
        if not done_before:
            output.write(part)
        yield SplitResult(
            source=source,
            clip=part.name,
            file=str(output.file(part.name)),
            first_frame=first,
            frames=last - first + 1,
            seconds=(last - first) / clip.fps,
            feet=int(stands[last].sum()),
            done_before=done_before,
        )
    more = output.file(_part_name(clip, len(ends) - 1))
    if more.exists():
        raise MotionError(f"{more} is a part of an earlier, longer list; remove it and those after it")


def find_cuts(motion: RobotMotion, standing: Array, lengths: SplitLengths) -> Iterator[int]:
    """Yield the frames at which to cut; `standing` [T] is the number of feet that stand.

    A cut is where most feet stand and the joints move least, from half of the longest length on.
    """
    fps, end = motion.fps, len(motion) - 1
    speed = np.sqrt((np.gradient(motion.joint_pos, axis=0) ** 2).mean(axis=1)) * fps
    most = standing.max(initial=1)
    cost = speed + np.where(standing > 0, _MOVING * (most - standing), _FLYING)
    longest, shortest = round(lengths.longest * fps), round(lengths.shortest * fps)
    start = 0
    while end - start > longest:
        latest = min(start + longest, end - shortest)
        earliest = min(start + max(shortest, round(_EARLIEST * longest)), latest)
        start = earliest + int(cost[earliest : latest + 1].argmin())
        yield start


def _part(clip: Clip, first: int, last: int, number: int) -> Clip:
    frames = slice(first, last + 1)
    return attrs.evolve(
        clip,
        name=_part_name(clip, number),
        root_pos=clip.root_pos[frames],
        root_quat_wxyz=clip.root_quat_wxyz[frames],
        joint_pos=clip.joint_pos[frames],
        source=f"{clip.source or clip.name}; frames {first} to {last}",
        identity="",
    )


def _part_name(clip: Clip, number: int) -> str:
    return f"{clip.name}_{number:03d}"
