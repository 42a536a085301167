"""`mtrack motions check` from a path to what is known of each clip; draws pictures and writes repaired clips."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import attrs

from mtrack.errors import MotionError, MtrackError, did_you_mean
from mtrack.exchange import Clip
from mtrack.protocols import Robot
from mtrack.registry import Registry, is_own
from mtrack_motion.clip import content_hash
from mtrack_motion.file import read_clip, write_clip
from mtrack_motion.reading import each_clip
from mtrack_motion.several import raise_all
from mtrack_quality.clip_quality import ClipQuality, judge
from mtrack_quality.ground import REPAIRS, on_ground
from mtrack_quality.measure import Meter


@attrs.frozen
class CheckOptions:
    """What to do besides measuring."""

    fix: str = ""
    """Repair to make; empty: none."""
    out: Path | None = None
    """Directory for repaired clips."""
    pictures: Path | None = None
    """Directory for pictures."""
    robot: str = "g1"
    overwrite: bool = False


def check_motions(path: Path, options: CheckOptions) -> Iterator[tuple[ClipQuality, str]]:
    """Yield what is known of each clip of a path, with a line to say or none. Raises MtrackError.

    Repaired clips are judged as they are after the repair. Raises MotionError after the last clip if a repaired clip
    or a picture cannot be written.
    """
    _check_options(path, options)
    registry = Registry.scan()
    meter = Meter(cast(Robot, registry.load(registry.find("robot", options.robot, is_own))()))
    known: dict[str, str] = {}
    written, problems = _Written(), list[MotionError]()
    for file, clip in _clips(path):
        if isinstance(clip, str):
            yield ClipQuality(file.stem, str(file), unusable=clip), ""
            continue
        quality, line = judge(clip, str(file), meter, known), ""
        known.setdefault(quality.sha256, clip.name)
        try:
            if options.fix and not quality.unusable:
                quality, line = _repaired(clip, quality, meter, options, written)
            if options.pictures and quality.measures:
                line = "\n".join(filter(None, (line, _drawn(quality, options.pictures, written))))
        except MotionError as error:  # the other clips can be written all the same
            problems.append(error)
        yield attrs.evolve(quality, measures=None), line  # a large set would not fit into memory
    raise_all(problems)


class _Written:
    """Files written by this command, none of them twice."""

    def __init__(self) -> None:
        self._files: dict[Path, str] = {}

    def take(self, file: Path, source: str) -> None:
        """Reserve a file for what comes from a source. Raises MotionError if it is another one's."""
        if file in self._files:
            raise MotionError(f"{source}: would be {file}, which {self._files[file]} is already; rename one")
        self._files[file] = source


def _check_options(path: Path, options: CheckOptions) -> None:
    if options.fix and options.fix not in REPAIRS:
        raise MtrackError(
            f"no repair '{options.fix}'. {did_you_mean(options.fix, REPAIRS)} there are: {', '.join(REPAIRS)}"
        )
    if bool(options.fix) != bool(options.out):
        raise MtrackError(f"--fix and -o go together: mtrack motions check {path} --fix ground -o DIR")
    for folder in (options.out, options.pictures):
        if folder is not None:
            _make(folder)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MotionError(f"{folder}: cannot be made: {error.strerror}; choose another directory") from None


def _clips(path: Path) -> Iterator[tuple[Path, Clip | str]]:
    """Yield each file with its clip, or with why it cannot be read."""
    for file, read in each_clip(path):
        try:
            yield file, read()
        except MotionError as error:
            yield file, str(error).removeprefix(f"{file}: ")


def _repaired(
    clip: Clip, quality: ClipQuality, meter: Meter, options: CheckOptions, written: _Written
) -> tuple[ClipQuality, str]:
    """Write a clip as it is on the ground and return what is known of it then."""
    assert quality.measures is not None
    assert options.out is not None
    ground = quality.measures.ground
    repaired = on_ground(clip, ground)
    file = Path(quality.file)
    target = options.out / (file.name if file.suffix == ".npz" else f"{_file_name(clip.name)}.npz")  # or out of a pack
    written.take(target, f"{file}: clip '{clip.name}'")
    if target.exists() and not options.overwrite and content_hash(read_clip(target)) != content_hash(repaired):
        raise MotionError(f"{target}: is there already, with another motion; choose another directory, or --overwrite")
    write_clip(target, repaired)
    return judge(repaired, str(target), meter, {}), f"{target}: shifted by {-ground * 100:+.1f} cm"


def _drawn(quality: ClipQuality, folder: Path, written: _Written) -> str:
    """Draw a clip and return the line that says where."""
    from mtrack_quality.plot import draw  # noqa: PLC0415  matplotlib is slow to import

    path = folder / f"{_file_name(quality.name)}.png"
    written.take(path, f"{quality.file}: clip '{quality.name}'")
    try:
        draw(quality, path)
    except OSError as error:
        raise MotionError(f"{path}: cannot be written: {error.strerror}; choose another directory") from None
    return str(path)


def _file_name(clip: str) -> str:
    """Return a file name for a clip, whatever it is called: no separators, no leading dot."""
    return re.sub(r"[^\w.+-]+", "_", clip, flags=re.ASCII).lstrip(".")[:120] or "clip"
