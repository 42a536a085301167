"""`mtrack motions repair`: repairs every clip of a path, in several processes, and writes the results as they come."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import attrs

from mtrack import Clip, MotionError, MtrackError, Robot
from mtrack.api.device import available_cpus
from mtrack.registry.registry import Registry
from mtrack_motion.chosen_robot import chosen_robot
from mtrack_motion.clip import content_hash
from mtrack_motion.clip_checks import why_unreadable
from mtrack_motion.file import file_name
from mtrack_motion.reading import Read, each_clip
from mtrack_retarget.batch import run_batch
from mtrack_retarget.measures import MotionMeasures
from mtrack_retarget.output import CLASH, Output
from mtrack_retarget.picture import StripPainter
from mtrack_retarget.repair import Repairer, RepairOptions
from mtrack_retarget.robot_motion import RobotMotion


@attrs.frozen
class RepairJob:
    """What to do with each clip of a command."""

    output: Output
    robot: str
    options: RepairOptions
    pictures: Path | None = None


@attrs.frozen
class RepairResult:
    """The result for one clip, JSON-able."""

    clip: str
    source: str
    file: str = ""
    """The motion file written; empty for problems."""
    problem: str = ""
    """Why it was not repaired."""
    done_before: bool = False
    """The file of an earlier command was kept, because it has the same origin and options."""
    seconds: float = 0.0
    cpu_s: float = 0.0
    changes: str = ""
    lowered_m: float = 0.0
    root_moved_m: float = 0.0
    joint_change_rad: float = 0.0
    before: MotionMeasures | None = None
    after: MotionMeasures | None = None
    picture: str = ""


def repair_motions(path: Path, only: str, job: RepairJob, processes: int) -> Iterator[RepairResult]:
    """Yield the result of each clip in the order in which they are finished. Raises MtrackError."""
    chosen_robot(Registry.scan(), job.robot).model()  # a mistake in its name or file is reported once
    items = list(each_clip(path))
    job.output.prepare()
    if job.pictures is not None:
        attrs.evolve(job.output, folder=job.pictures).prepare()
    make = functools.partial(_RepairClip, job, only)
    wanted, written = 0, set[str]()
    for _, result in run_batch(make, items, processes or available_cpus()):
        if result is not None:
            wanted += 1
            clashes = result.file in written and not result.done_before
            written |= {result.file} if result.file else set()
            yield attrs.evolve(result, problem=f"{result.file} {CLASH}") if clashes else result
    if not wanted:
        raise MotionError(f"{path}: no clip is named like --only {only}; `mtrack motions info {path}` lists them")


class _RepairClip:
    """Repairs clips in one process."""

    def __init__(self, job: RepairJob, only: str) -> None:
        self._job, self._only = job, only
        self._robot: Robot = chosen_robot(Registry.scan(), job.robot)
        self._repairer = Repairer(self._robot)
        self._paint = StripPainter(self._robot) if job.pictures else None

    def __call__(self, item: tuple[Path, Read]) -> RepairResult | None:
        file, read = item
        try:
            clip = read()
        except MotionError as error:
            return RepairResult(file.stem, str(file), problem=str(error).removeprefix(f"{file}: "))
        if self._only and self._only not in clip.name:
            return None
        try:
            return self._repaired(clip, file)
        except MtrackError as error:
            return RepairResult(clip.name, str(file), problem=str(error))

    def _repaired(self, clip: Clip, file: Path) -> RepairResult:
        robot, output = self._repairer.body.names, self._job.output
        if problem := why_unreadable(clip, robot):
            return RepairResult(clip.name, str(file), problem=problem)
        record = _record(clip, robot.name, self._job.options)
        if output.has(clip.name, record):
            return RepairResult(clip.name, str(file), str(output.file(clip.name)), done_before=True)
        start = time.process_time()
        motion = RobotMotion.of(clip, robot)
        repaired = self._repairer(motion, self._job.options)
        cpu_s = time.process_time() - start
        origin = f"{record} {repaired.changes()}"
        written = output.write(repaired.motion.to_clip(robot, clip.name, origin, clip.licence))
        picture = ""
        if self._paint is not None and self._job.pictures is not None:
            target = self._job.pictures / f"{file_name(clip.name)}.png"
            self._paint(target, repaired.motion, motion, clip.name, "in blue: before the repair")
            picture = str(target)
        return RepairResult(
            clip=clip.name,
            source=str(file),
            file=str(written),
            seconds=(len(clip.root_pos) - 1) / clip.fps,
            cpu_s=cpu_s,
            changes=repaired.changes(),
            lowered_m=repaired.lowered_m,
            root_moved_m=repaired.root_moved_m,
            joint_change_rad=repaired.joint_change_rad,
            before=repaired.before,
            after=repaired.after,
            picture=picture,
        )


def _record(clip: Clip, robot: str, options: RepairOptions) -> str:
    """Return the origin of a repaired clip, for its file: with the same one, a repair gives the same motion."""
    chosen = [f"{name} {value}" for name, value in attrs.asdict(options).items() if value]
    return (
        f"{clip.source or clip.name}; repaired for {robot} by mtrack {version('mtrack')} from the motion "
        f"{content_hash(clip)[:16]}{' with ' + ', '.join(chosen) if chosen else ''}:"
    )
