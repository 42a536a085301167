"""Import motions: find the importer of each file, check the clips it reads, and write them as motion files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs
import numpy as np

from mtrack import Clip, ComponentError, MotionError, Robot, RobotModel
from mtrack.registry.registry import Registry
from mtrack_motion.chosen_robot import chosen_robot
from mtrack_motion.clip import check_clip, content_hash
from mtrack_motion.decompress import unpacked
from mtrack_motion.file import file_name, read_clip, write_clip
from mtrack_motion.input_files import InputFile, input_files, why_skipped
from mtrack_motion.installed_importer import TRUST, InstalledImporter, Settings
from mtrack_motion.motion_errors import SeveralMotionsError
from mtrack_motion.oddities import oddities
from mtrack_motion.own_format import MotionFile
from mtrack_motion.recognition import AS_REQUESTED, Importers, why_not_imported


@attrs.frozen
class Choices:
    """The user's choices for an import."""

    out: Path
    format: str = "auto"
    robot: str = "g1"
    settings: Settings = attrs.field(factory=Settings)
    """Parameters for the importers."""
    overwrite: bool = False
    licence: str = ""


@attrs.frozen
class Imported:
    """The result for one motion or file: a clip written, a problem, or skipped."""

    source: str
    file: str = ""
    """The motion file written; empty for problems and skipped files."""
    found: str = ""
    """What the importer found in the file."""
    clip: str = ""
    oddities: tuple[str, ...] = ()
    problem: str = ""
    """Why it was not imported."""
    skipped: str = ""
    """Why there is nothing to import, e.g. a picture."""


class _OneRobot:
    """A robot that many files are checked against: its model is built once."""

    def __init__(self, robot: Robot) -> None:
        self.spec = robot.spec
        self._model = robot.model()

    def model(self) -> RobotModel:
        """Return the names and numbers of the robot."""
        return self._model


def import_motions(registry: Registry, path: Path, choices: Choices) -> Iterator[Imported]:
    """Import a file, or every file in a directory, and yield the result of each clip and file. Raises MtrackError."""
    importers = Importers(registry, choices.format, choices.settings)
    robot = _OneRobot(chosen_robot(registry, choices.robot))
    if not path.exists():
        raise MotionError(f"{path}: there is no such file; check the path")
    files = list(input_files(path))
    try:
        choices.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MotionError(f"cannot create {choices.out}: {error.strerror}; choose another directory") from None
    taken: dict[Path, Path] = {}
    results: list[Imported] = []
    for one in files:
        for result in _of_file(importers, one, robot, choices, taken, may_skip=path.is_dir()):
            results.append(result)
            yield result
    if all(result.skipped for result in results):
        raise MotionError(f"{path}: has no file to import, only skipped files ({len(results)}); check the path")


def _of_file(
    importers: Importers, one: InputFile, robot: Robot, choices: Choices, taken: dict[Path, Path], may_skip: bool
) -> Iterator[Imported]:
    """Import one file. If no importer recognises it, skip it if it cannot be a motion, otherwise report a problem.

    A file that the user named explicitly is never skipped.
    """
    file = one.file
    if one.problem:
        yield Imported(str(file), problem=f"{file}: {one.problem}")
        return
    try:
        with unpacked(file) as plain:
            recognition = importers.recognise(plain)
            importer, found = recognition.importer, recognition.found
            if importer is None:
                reason = why_skipped(file) if may_skip else ""
                problem = "" if reason else why_not_imported(plain, recognition)
                results = iter([Imported(str(file), problem=problem, skipped=reason)])
            elif isinstance(importer.importer, MotionFile) and choices.out.resolve() in file.resolve().parents:
                results = iter([Imported(str(file), skipped="is already in the output directory")])
            elif importer.problem:
                results = iter([Imported(str(file), problem=f"{file}: {importer.problem}")])
            else:
                results = _import_file(importer, plain, f"{importer.name}: {found}", robot, choices, taken)
            for result in results:
                yield _naming(result, file, plain, "" if found != AS_REQUESTED else choices.format)
    except MotionError as error:
        yield Imported(str(file), problem=str(error))


def _naming(result: Imported, file: Path, plain: Path, unfit: str) -> Imported:
    """Return a result that names the file from the user, not the temporary file it was decompressed to.

    `unfit` is the format from the user, if its importer does not recognise the file.
    """
    problem = result.problem.replace(str(plain), str(file))
    if problem and unfit:
        problem += f" (importer '{unfit}' does not recognise this file; try without --format)"
    return attrs.evolve(result, source=str(file), problem=problem)


def _import_file(
    importer: InstalledImporter, file: Path, found: str, robot: Robot, choices: Choices, taken: dict[Path, Path]
) -> Iterator[Imported]:
    try:
        for clip in importer.clips(file, robot):
            try:
                written = _import_clip(clip, file, found, robot, choices, taken)
            except MotionError as error:  # later clips may be fine
                written = Imported(str(file), found=found, clip=clip.name, problem=str(error))
            yield written
    except SeveralMotionsError as errors:
        for problem in errors.problems:
            yield Imported(str(file), found=found, problem=str(problem))
    except MotionError as error:
        yield Imported(str(file), found=found, problem=str(error))
    except ComponentError as error:
        yield Imported(str(file), found=found, problem=f"{file}: {importer}: {error}; report this to its author")


def _import_clip(
    clip: Clip, file: Path, found: str, robot: Robot, choices: Choices, taken: dict[Path, Path]
) -> Imported:
    if not _has_field_types(clip):
        raise ComponentError("it yielded a clip whose fields do not have the types of mtrack.api.types.Clip")
    licensed = attrs.evolve(
        clip, licence=choices.licence or clip.licence, source=clip.source.replace(str(file), file.name)
    )
    check_clip(licensed, f"{file}: clip '{clip.name}'")
    try:
        notes = tuple(oddities(licensed, robot, choices.settings.values.get(TRUST) is True))
    except MotionError as error:
        raise MotionError(f"{file}: {error}") from None
    target = choices.out / f"{file_name(clip.name)}.npz"
    _write(target, licensed, file, choices, taken)
    taken[target] = file
    return Imported(str(file), str(target), found, clip.name, notes)


def _has_field_types(clip: Clip) -> bool:
    """Return whether the fields of a clip from a third-party importer have the types of `Clip`."""
    texts = (clip.name, clip.source, clip.licence, *clip.joint_names)
    tables = (clip.root_pos, clip.root_quat_wxyz, clip.joint_pos)
    return (
        all(isinstance(text, str) for text in texts)
        and isinstance(clip.fps, (int, float, np.floating))
        and all(isinstance(table, np.ndarray) and table.dtype.kind == "f" and table.ndim == 2 for table in tables)
    )


def _write(target: Path, clip: Clip, file: Path, choices: Choices, taken: Mapping[Path, Path]) -> None:
    if target in taken:
        raise MotionError(
            f"{file}: clip '{clip.name}' would be written to {target}, like one of {taken[target]}; rename one"
        )
    if target.exists() and not choices.overwrite and content_hash(read_clip(target)) != content_hash(clip):
        raise MotionError(f"{target}: exists with another motion; choose another directory, or use --overwrite")
    write_clip(target, clip)
