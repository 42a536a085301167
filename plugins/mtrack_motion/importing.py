"""Turn foreign motion files into motion files: find the importer, check what it read, write it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import attrs

from mtrack.errors import MotionError, MtrackError
from mtrack.exchange import Clip
from mtrack.fields import params_of
from mtrack.protocols import Importer, Robot
from mtrack.registry import Registry
from mtrack.robot import RobotModel
from mtrack_motion.clip import content_hash
from mtrack_motion.file import read_clip, write_clip
from mtrack_motion.plausible import oddities
from mtrack_motion.requested import Requested, requested_files, why_not_imported, why_skipped
from mtrack_motion.several import SeveralMotionsError

_SUFFIXES = (".npz", ".pkl", ".csv")


@attrs.frozen
class Choices:
    """What the user decided."""

    out: Path
    format: str = "auto"
    robot: str = "g1"
    fps: float | None = None
    fill_missing: bool = False
    trust: bool = False
    overwrite: bool = False
    licence: str = ""


@attrs.frozen
class Imported:
    """What became of one motion or file: a clip written, a problem, or skipped."""

    source: str
    file: str = ""
    """Motion file written; empty for a problem and for what was skipped."""
    found: str = ""
    """What the importer recognised."""
    clip: str = ""
    oddities: tuple[str, ...] = ()
    problem: str = ""
    """Why it was not imported."""
    skipped: str = ""
    """Why nothing was to be imported, e.g. from a picture."""


class _OneRobot:
    """A robot that many files are held against: its numbers are worked out once."""

    def __init__(self, robot: Robot) -> None:
        self.spec = robot.spec
        self._model = robot.model()

    def model(self) -> RobotModel:
        """Return names and numbers."""
        return self._model


def import_motions(registry: Registry, path: Path, choices: Choices) -> Iterator[Imported]:
    """Import a file, or every file in a directory, and yield what became of each clip and file. Raises MtrackError."""
    importers = _importers(registry, choices)
    robot = _OneRobot(cast(Robot, registry.load(registry.find("robot", choices.robot))()))
    if not path.exists():
        raise MotionError(f"{path}: there is no such file; check the path")
    files = list(requested_files(path))
    try:
        choices.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MotionError(f"{choices.out}: cannot be made: {error.strerror}; choose another directory") from None
    taken: dict[Path, Path] = {}
    results: list[Imported] = []
    for one in files:
        for result in _of_file(importers, one, robot, choices, taken):
            results.append(result)
            yield result
    if all(result.skipped for result in results):
        raise MotionError(f"{path}: no importer recognises it; there are: {', '.join(importers)}; choose a --format")


def _importers(registry: Registry, choices: Choices) -> dict[str, Importer]:
    """Return the importers to try, by name, with the user's parameters. Raises MtrackError."""
    if choices.format != "auto":
        entries = [registry.find("importer", choices.format)]
    else:
        entries = [entry for entry in registry.entries if entry.kind == "importer" and not entry.error]
    wanted: Mapping[str, object] = {
        "fps": choices.fps,
        "fill_missing": choices.fill_missing or None,
        "trust": choices.trust or None,
    }
    importers: dict[str, Importer] = {}
    for entry in entries:
        cls = registry.load(entry)
        given = {name: value for name, value in wanted.items() if value is not None}
        unknown = [name for name in given if name not in params_of(cls)]
        if unknown and choices.format != "auto":
            raise MtrackError(f"importer '{entry.name}' has no parameter '{unknown[0]}'; leave that option out")
        importers[entry.name] = cls(**{name: value for name, value in given.items() if name not in unknown})
    return importers


def _of_file(
    importers: Mapping[str, Importer], one: Requested, robot: Robot, choices: Choices, taken: dict[Path, Path]
) -> Iterator[Imported]:
    """Import one file; what no importer recognises is skipped if it cannot be a motion, and else a problem."""
    file = one.file
    if one.problem:
        yield Imported(str(file), problem=f"{file}: {one.problem}")
        return
    try:
        name, found = _choose(importers, file, choices.format)
    except MotionError as error:
        yield Imported(str(file), problem=str(error))
        return
    if name:
        yield from _import_file(importers[name], file, f"{name}: {found}", robot, choices, taken)
    elif reason := why_skipped(file, choices.out):
        yield Imported(str(file), skipped=reason)
    else:
        yield Imported(str(file), problem=f"{file}: {why_not_imported(file)}")


def _choose(importers: Mapping[str, Importer], file: Path, wanted: str) -> tuple[str, str]:
    """Return the importer for a file and what it found; empty strings where none recognises it. Raises MotionError."""
    if wanted != "auto":
        return wanted, importers[wanted].recognises(file) or "as told"
    if file.suffix.lower() in _SUFFIXES and file.stat().st_size == 0:
        raise MotionError(f"{file}: is empty; copy or export it again")
    found: dict[str, str] = {}
    damage: list[MotionError] = []
    for name, importer in importers.items():
        try:
            if text := importer.recognises(file):
                found[name] = text
        except MotionError as error:
            damage.append(error)
    if len(found) > 1:
        raise MotionError(f"{file}: looks like {' and like '.join(found.values())}; choose with --format")
    if damage and not found:
        raise damage[0]
    return next(iter(found.items()), ("", ""))


def _import_file(
    importer: Importer, file: Path, found: str, robot: Robot, choices: Choices, taken: dict[Path, Path]
) -> Iterator[Imported]:
    try:
        for clip in importer.clips(file, robot):
            try:
                written = _import_clip(clip, file, found, robot, choices, taken)
            except MotionError as error:  # the clips after it are not its fault
                written = Imported(str(file), found=found, clip=clip.name, problem=str(error))
            yield written
    except SeveralMotionsError as errors:
        for problem in errors.problems:
            yield Imported(str(file), found=found, problem=str(problem))
    except MotionError as error:
        yield Imported(str(file), found=found, problem=str(error))


def _import_clip(
    clip: Clip, file: Path, found: str, robot: Robot, choices: Choices, taken: dict[Path, Path]
) -> Imported:
    licensed = attrs.evolve(clip, licence=choices.licence or clip.licence)
    try:
        notes = tuple(oddities(licensed, robot, choices.trust))
    except MotionError as error:
        raise MotionError(f"{file}: {error}") from None
    target = choices.out / f"{file_name(clip.name)}.npz"
    _write(target, licensed, file, choices, taken)
    taken[target] = file
    return Imported(str(file), str(target), found, clip.name, notes)


def _write(target: Path, clip: Clip, file: Path, choices: Choices, taken: Mapping[Path, Path]) -> None:
    if target in taken:
        raise MotionError(f"{file}: clip '{clip.name}' would be {target}, as one of {taken[target]}; rename one")
    if target.exists() and not choices.overwrite and content_hash(read_clip(target)) != content_hash(clip):
        raise MotionError(f"{target}: is there already, with another motion; choose another directory, or --overwrite")
    write_clip(target, clip)


def file_name(clip: str) -> str:
    """Return a file name for a clip, whatever the foreign file called it: no separators, no leading dot."""
    return re.sub(r"[^\w.+-]+", "_", clip, flags=re.ASCII).lstrip(".")[:120] or "clip"
