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
    """One file dealt with: a clip written, or a problem."""

    source: str
    file: str = ""
    """Motion file written; empty where there was a problem, or nothing for any importer."""
    found: str = ""
    """What the importer recognised."""
    clip: str = ""
    oddities: tuple[str, ...] = ()
    problem: str = ""


class _OneRobot:
    """A robot that many files are held against: its numbers are worked out once."""

    def __init__(self, robot: Robot) -> None:
        self.spec = robot.spec
        self._model = robot.model()

    def model(self) -> RobotModel:
        """Return names and numbers."""
        return self._model


def import_motions(registry: Registry, path: Path, choices: Choices) -> Iterator[Imported]:
    """Import a file, or every file in a directory, and yield what became of each clip. Raises MtrackError."""
    importers = _importers(registry, choices)
    robot = _OneRobot(cast(Robot, registry.load(registry.find("robot", choices.robot))()))
    if not path.exists():
        raise MotionError(f"{path}: there is no such file; check the path")
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    try:
        choices.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MotionError(f"{choices.out}: cannot be made: {error.strerror}; choose another directory") from None
    taken: dict[Path, Path] = {}
    recognised = 0
    for file in files:
        try:
            name, found = _choose(importers, file, choices.format)
        except MotionError as error:
            recognised += 1
            yield Imported(str(file), problem=str(error))
            continue
        if name:
            recognised += 1
            yield from _import_file(importers[name], file, f"{name}: {found}", robot, choices, taken)
    if not recognised:
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
            licensed = attrs.evolve(clip, licence=choices.licence or clip.licence)
            notes = tuple(oddities(licensed, robot))
            target = choices.out / f"{file_name(clip.name)}.npz"
            _write(target, licensed, file, choices, taken)
            taken[target] = file
            yield Imported(str(file), str(target), found, clip.name, notes)
    except MotionError as error:
        yield Imported(str(file), found=found, problem=str(error))


def _write(target: Path, clip: Clip, file: Path, choices: Choices, taken: Mapping[Path, Path]) -> None:
    if target in taken:
        raise MotionError(f"{file}: clip '{clip.name}' would be {target}, as one of {taken[target]}; rename one")
    if target.exists() and not choices.overwrite and content_hash(read_clip(target)) != content_hash(clip):
        raise MotionError(f"{target}: is there already, with another motion; choose another directory, or --overwrite")
    write_clip(target, clip)


def file_name(clip: str) -> str:
    """Return a file name for a clip, whatever the foreign file called it: no separators, no leading dot."""
    return re.sub(r"[^\w.+-]+", "_", clip, flags=re.ASCII).lstrip(".")[:120] or "clip"
