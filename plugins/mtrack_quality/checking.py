"""`mtrack motions check`: checks every clip of a path, draws plots and writes repaired clips."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import attrs

from mtrack import Clip, MotionError, MtrackError
from mtrack.errors import did_you_mean
from mtrack.registry.registry import Registry
from mtrack_motion.chosen_robot import chosen_robot
from mtrack_motion.clip import content_hash
from mtrack_motion.file import file_name, read_clip, write_clip
from mtrack_motion.motion_errors import raise_all
from mtrack_motion.reading import each_clip
from mtrack_quality.clip_quality import ClipQuality, judge
from mtrack_quality.ground import REPAIRS, on_ground
from mtrack_quality.measure import Meter


@attrs.frozen
class CheckOptions:
    """What to do besides checking."""

    fix: str = ""
    """Repair to make; empty for none."""
    out: Path | None = None
    """Directory for repaired clips."""
    pictures: Path | None = None
    """Directory for plots."""
    robot: str = "g1"
    overwrite: bool = False


def check_motions(path: Path, options: CheckOptions) -> Iterator[tuple[ClipQuality, str]]:
    """Yield the quality of each clip of a path, and lines to print (or ""). Raises MtrackError.

    Repaired clips are judged after the repair. Raises MotionError after the last clip if a repaired clip or a plot
    cannot be written.
    """
    _check_options(path, options)
    registry = Registry.scan()
    meter = Meter(chosen_robot(registry, options.robot))
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
                line = "\n".join(filter(None, (line, _plotted(quality, options.pictures, written))))
        except MotionError as error:  # the other clips can still be written
            problems.append(error)
        yield attrs.evolve(quality, measures=None), line  # a large set would not fit into memory
    raise_all(problems)


class _Written:
    """Files written by this command, each only once."""

    def __init__(self) -> None:
        self._files: dict[Path, str] = {}

    def take(self, file: Path, source: str) -> None:
        """Reserve a file for a source. Raises MotionError if another source has reserved it."""
        if file in self._files:
            raise MotionError(f"{source}: would be written to {file}, as {self._files[file]} already was; rename one")
        self._files[file] = source


def _check_options(path: Path, options: CheckOptions) -> None:
    if options.fix and options.fix not in REPAIRS:
        raise MtrackError(
            f"no repair '{options.fix}'. {did_you_mean(options.fix, REPAIRS)} choose one of: {', '.join(REPAIRS)}"
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
        raise MotionError(f"cannot create {folder}: {error.strerror}; choose another directory") from None


def _clips(path: Path) -> Iterator[tuple[Path, Clip | str]]:
    """Yield each file with its clip, or with the reason why it cannot be read."""
    for file, read in each_clip(path):
        try:
            yield file, read()
        except MotionError as error:
            yield file, str(error).removeprefix(f"{file}: ")


def _repaired(
    clip: Clip, quality: ClipQuality, meter: Meter, options: CheckOptions, written: _Written
) -> tuple[ClipQuality, str]:
    """Write a clip shifted to the ground, and return its new quality and a line to print."""
    assert quality.measures is not None
    assert options.out is not None
    ground = quality.measures.ground
    repaired = on_ground(clip, ground)
    file = Path(quality.file)
    # a packed file has many clips
    target = options.out / (file.name if file.suffix == ".npz" else f"{file_name(clip.name)}.npz")
    written.take(target, f"{file}: clip '{clip.name}'")
    if target.exists() and not options.overwrite and content_hash(read_clip(target)) != content_hash(repaired):
        raise MotionError(f"{target} exists with another motion; choose another directory, or --overwrite")
    write_clip(target, repaired)
    return judge(repaired, str(target), meter, {}), f"{target}: shifted by {-ground * 100:+.1f} cm"


def _plotted(quality: ClipQuality, folder: Path, written: _Written) -> str:
    """Plot a clip and return the path of the plot."""
    from mtrack_quality.plot import draw  # noqa: PLC0415  matplotlib is slow to import

    path = folder / f"{file_name(quality.name)}.png"
    written.take(path, f"{quality.file}: clip '{quality.name}'")
    try:
        draw(quality, path)
    except OSError as error:
        raise MotionError(f"cannot write {path}: {error.strerror}; choose another directory") from None
    return str(path)
