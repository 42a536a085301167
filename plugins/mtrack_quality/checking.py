"""`mtrack motions check` from a path to what is known of each clip; draws pictures and writes repaired clips."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import attrs

from mtrack import Clip, MotionError, MtrackError, Robot
from mtrack.errors import did_you_mean
from mtrack.registry.registry import Registry, is_own
from mtrack_motion.clip import content_hash
from mtrack_motion.file import read_clip, write_clip
from mtrack_motion.motion_errors import raise_all
from mtrack_motion.reading import each_clip
from mtrack_quality.findings import Quality, judge
from mtrack_quality.ground import REPAIRS, on_ground
from mtrack_quality.measure import Meter


@attrs.frozen
class Wishes:
    """What to do besides measuring."""

    fix: str = ""
    """Repair to make; empty: none."""
    out: Path | None = None
    """Directory for repaired clips."""
    pictures: Path | None = None
    """Directory for pictures."""
    robot: str = "g1"
    overwrite: bool = False


def check_motions(path: Path, wishes: Wishes) -> Iterator[tuple[Quality, str]]:
    """Yield what is known of each clip of a path, with a line to say or none. Raises MtrackError.

    Repaired clips are judged as they are after the repair. Raises MotionError after the last clip if a repaired clip
    or a picture cannot be written.
    """
    _check_wishes(path, wishes)
    registry = Registry.scan()
    meter = Meter(cast(Robot, registry.load(registry.find("robot", wishes.robot, is_own))()))
    known: dict[str, str] = {}
    written, problems = _Written(), list[MotionError]()
    for file, clip in _clips(path):
        if isinstance(clip, str):
            yield Quality(file.stem, str(file), unusable=clip), ""
            continue
        quality, line = judge(clip, str(file), meter, known), ""
        known.setdefault(quality.sha256, clip.name)
        try:
            if wishes.fix and not quality.unusable:
                quality, line = _repaired(clip, quality, meter, wishes, written)
            if wishes.pictures and quality.measures:
                line = "\n".join(filter(None, (line, _drawn(quality, wishes.pictures, written))))
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


def _check_wishes(path: Path, wishes: Wishes) -> None:
    if wishes.fix and wishes.fix not in REPAIRS:
        raise MtrackError(
            f"no repair '{wishes.fix}'. {did_you_mean(wishes.fix, REPAIRS)} there are: {', '.join(REPAIRS)}"
        )
    if bool(wishes.fix) != bool(wishes.out):
        raise MtrackError(f"--fix and -o go together: mtrack motions check {path} --fix ground -o DIR")
    for folder in (wishes.out, wishes.pictures):
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


def _repaired(clip: Clip, quality: Quality, meter: Meter, wishes: Wishes, written: _Written) -> tuple[Quality, str]:
    """Write a clip as it is on the ground and return what is known of it then."""
    assert quality.measures is not None
    assert wishes.out is not None
    ground = quality.measures.ground
    mended = on_ground(clip, ground)
    file = Path(quality.file)
    target = wishes.out / (file.name if file.suffix == ".npz" else f"{_file_name(clip.name)}.npz")  # or out of a pack
    written.take(target, f"{file}: clip '{clip.name}'")
    if target.exists() and not wishes.overwrite and content_hash(read_clip(target)) != content_hash(mended):
        raise MotionError(f"{target}: is there already, with another motion; choose another directory, or --overwrite")
    write_clip(target, mended)
    return judge(mended, str(target), meter, {}), f"{target}: shifted by {-ground * 100:+.1f} cm"


def _drawn(quality: Quality, folder: Path, written: _Written) -> str:
    """Draw a clip and return the line that says where."""
    from mtrack_quality.figure import draw  # noqa: PLC0415  matplotlib is slow to import

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
