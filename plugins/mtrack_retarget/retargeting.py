"""`mtrack motions retarget`: people's motions of a path become motions of a robot, in several processes."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import attrs

from mtrack import ComponentError, MotionError, MtrackError, Robot, SkeletonMotion
from mtrack.api.device import available_cpus
from mtrack.registry.registry import Registry
from mtrack_motion.chosen_robot import chosen_robot
from mtrack_motion.decompress import unpacked
from mtrack_motion.file import file_name
from mtrack_motion.file_kinds import what_it_is
from mtrack_motion.input_files import InputFile, input_files, why_skipped
from mtrack_motion.installed_importer import InstalledImporter, Settings
from mtrack_motion.own_format import MotionFile
from mtrack_motion.recognition import AS_REQUESTED, Importers, Recognition
from mtrack_retarget.batch import run_batch
from mtrack_retarget.closeness import keypoint_error
from mtrack_retarget.measures import MotionMeasures
from mtrack_retarget.origin import person_hash
from mtrack_retarget.output import CLASH, Output
from mtrack_retarget.person import Person
from mtrack_retarget.picture import StripPainter
from mtrack_retarget.repair import Repairer, RepairOptions
from mtrack_retarget.retarget import Retargeter, resampled
from mtrack_retarget.scaled import scaled
from mtrack_retarget.source_log import collected_log
from mtrack_retarget.to_person import to_person


@attrs.frozen
class RetargetJob:
    """What to do with each person of a command."""

    output: Output
    robot: str
    format: str = "auto"
    settings: Settings = attrs.field(factory=Settings)
    """Parameters of the source."""
    rate: float = 50.0
    """Of the robot's motion [1/s]."""
    names: Path | None = None
    unit: str | None = None
    up: str | None = None
    licence: str = ""
    options: RepairOptions = attrs.field(factory=RepairOptions)
    pictures: Path | None = None


@attrs.frozen
class RetargetResult:
    """The result for one person or file, JSON-able."""

    source: str
    clip: str = ""
    file: str = ""
    """The motion file written; empty for problems and skipped files."""
    problem: str = ""
    skipped: str = ""
    """Why there is nothing to retarget, e.g. a picture."""
    done_before: bool = False
    reading: tuple[str, ...] = ()
    """What the skeleton was taken for, and what its source assumed, one line each."""
    seconds: float = 0.0
    cpu_s: float = 0.0
    scale: float = 0.0
    """Length of the robot's legs, divided by that of the person's."""
    keypoint_mm: float = 0.0
    """Mean distance of knees, ankles, elbows and wrists from the scaled person's, relative to the pelvis."""
    measures: MotionMeasures | None = None
    notes: tuple[str, ...] = ()
    picture: str = ""


def retarget_motions(path: Path, job: RetargetJob, processes: int) -> Iterator[RetargetResult]:
    """Yield the result of each person and file in the order in which they are finished. Raises MtrackError."""
    registry = Registry.scan()
    chosen_robot(registry, job.robot).model()  # a mistake in its name or file is reported once
    Importers(registry, job.format, job.settings, "skeleton_source")
    if not path.exists():
        raise MotionError(f"{path}: there is no such file; check the path")
    files = list(input_files(path))
    job.output.prepare()
    if job.pictures is not None:
        attrs.evolve(job.output, folder=job.pictures).prepare()
    make = functools.partial(_RetargetFile, job, path.is_dir())
    skipped, written = True, set[str]()
    for _, results in run_batch(make, files, processes or available_cpus()):
        for result in results:
            skipped = skipped and bool(result.skipped)
            clashes = result.file in written and not result.done_before
            written |= {result.file} if result.file else set()
            yield attrs.evolve(result, problem=f"{result.source}: {result.file} {CLASH}") if clashes else result
    if skipped:
        raise MotionError(f"{path}: has no file to retarget, only skipped files; check the path")


class _RetargetFile:
    """Retargets the people of files in one process."""

    def __init__(self, job: RetargetJob, may_skip: bool) -> None:
        registry = Registry.scan()
        self._job, self._may_skip = job, may_skip
        self._sources = Importers(registry, job.format, job.settings, "skeleton_source")
        self._robot: Robot = chosen_robot(registry, job.robot)
        self._retargeter, self._repairer = Retargeter(self._robot), Repairer(self._robot)
        self._paint = StripPainter(self._robot) if job.pictures else None

    def __call__(self, one: InputFile) -> list[RetargetResult]:
        file = one.file
        if one.problem:
            return [RetargetResult(str(file), problem=f"{file}: {one.problem}")]
        try:
            with unpacked(file) as plain:
                results = list(self._people(plain, file))
        except MotionError as error:
            return [RetargetResult(str(file), problem=str(error))]
        # the user knows nothing of the file to which a compressed one is unpacked
        return [attrs.evolve(result, problem=result.problem.replace(str(plain), str(file))) for result in results]

    def _people(self, plain: Path, file: Path) -> Iterator[RetargetResult]:
        """Yield the result of each person of a file, which `plain` contains without compression."""
        try:
            recognition = self._sources.recognise(plain)
        except MtrackError as error:
            yield RetargetResult(str(file), problem=str(error))
            return
        source = recognition.importer
        if source is None:
            reason = why_skipped(file) if self._may_skip else ""
            problem = "" if reason else _why_not_read(plain, recognition)
            yield RetargetResult(str(file), skipped=reason, problem=problem)
        elif source.problem:
            yield RetargetResult(str(file), problem=f"{file}: {source.problem}")
        else:
            note = "" if recognition.found == AS_REQUESTED else f"{source.name}: {recognition.found}"
            yield from self._people_of(source, plain, file, note)

    def _people_of(self, source: InstalledImporter, plain: Path, file: Path, note: str) -> Iterator[RetargetResult]:
        people = source.skeletons(plain)
        lines: tuple[str, ...] = (note,) if note else ()
        while True:
            with collected_log() as log:
                try:
                    motion = next(people, None)
                except (MotionError, ComponentError) as error:
                    whose = f"{file}: {source}: " if isinstance(error, ComponentError) else ""
                    yield RetargetResult(str(file), reading=lines, problem=f"{whose}{error}")
                    return
            if motion is None:
                return
            lines += log.lines(str(plain))
            try:
                yield self._retargeted(motion, file, lines)
            except MtrackError as error:
                yield RetargetResult(str(file), motion.name, reading=lines, problem=str(error))

    def _retargeted(self, motion: SkeletonMotion, file: Path, lines: tuple[str, ...]) -> RetargetResult:
        job, robot = self._job, self._repairer.body.names
        person, reading = to_person(motion, job.names, job.unit, job.up, str(file))
        lines += tuple(reading.lines())
        record = _record(person, file, robot.name, job)
        if job.output.has(person.name, record):
            done = str(job.output.file(person.name))
            return RetargetResult(str(file), person.name, done, done_before=True, reading=lines)
        start = time.process_time()
        target = scaled(resampled(person, job.rate), self._retargeter.limbs)
        repaired = self._repairer(self._retargeter.follow(target), job.options)
        cpu_s = time.process_time() - start
        frames = len(target.pelvis_pos)
        followed = repaired.motion.part(repaired.added_before, repaired.added_before + frames)
        origin, licence = f"{record} {repaired.changes()}", job.licence or person.licence
        written = job.output.write(repaired.motion.to_clip(robot, person.name, origin, licence))
        picture = ""
        if self._paint is not None and job.pictures is not None:
            drawing = job.pictures / f"{file_name(person.name)}.png"
            self._paint(drawing, repaired.motion, None, person.name, reading.lines()[0])
            picture = str(drawing)
        return RetargetResult(
            source=str(file),
            clip=person.name,
            file=str(written),
            reading=lines,
            seconds=(frames - 1) / job.rate,
            cpu_s=cpu_s,
            scale=target.scale,
            keypoint_mm=keypoint_error(self._retargeter, followed, target) * 1e3,
            measures=repaired.after,
            notes=repaired.notes,
            picture=picture,
        )


def _why_not_read(file: Path, recognition: Recognition) -> str:
    """Return in one line, starting with the file, why no source reads it, and what to do."""
    if recognition.damage:
        return str(recognition.damage[0])
    if kind := what_it_is(file):
        return f"{file}: {kind}"
    try:
        robots = Importers(Registry.scan()).recognise(file)
    except MotionError:
        robots = Recognition()
    if robots.importer is not None:
        next_step = "repair" if isinstance(robots.importer.importer, MotionFile) else "import"
        return (
            f"{file}: contains the motion of a robot, not of a person ({robots.found}); "
            f"`mtrack motions {next_step} FILE -o DIR` reads it"
        )
    broken = f" (skipped: {'; '.join(recognition.broken)})" if recognition.broken else ""
    return (
        f"{file}: no skeleton source recognises this file{broken}; `mtrack list-plugins skeleton_source` lists the "
        "formats"
    )


def _record(person: Person, file: Path, robot: str, job: RetargetJob) -> str:
    """Return the origin of a retargeted clip, for its file: with the same one, retargeting gives the same motion."""
    chosen = [f"{name} {value}" for name, value in attrs.asdict(job.options).items() if value]
    return (
        f"{person.source or file.name}; retargeted to {robot} at {job.rate:g} fps by mtrack {version('mtrack')} from "
        f"the person {person_hash(person)[:16]}{' with ' + ', '.join(chosen) if chosen else ''}:"
    )
