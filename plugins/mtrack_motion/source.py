"""The motion source `motion_files`: a motion file, or all those in a directory."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence
from pathlib import Path

from mtrack.errors import MotionError, did_you_mean
from mtrack.exchange import Clip
from mtrack.fields import component, param
from mtrack.robot import RobotModel
from mtrack_motion.clip import joint_columns
from mtrack_motion.file import read_clip

_SHOWN_PROBLEMS = 10


@component
class MotionFiles:
    """Clips from motion files (`mtrack motions import` makes them)."""

    path: Path = param()
    """A motion file (.npz), or a directory with motion files, those of its subdirectories included."""
    names: tuple[str, ...] = param(default=())
    """Names of the clips to use, `*` and `?` match anything; all of them if left out."""

    def clips(self, robot: RobotModel) -> Sequence[Clip]:
        """Return the clips, sorted by name. Raises MotionError with every file that cannot be used."""
        problems: list[str] = []
        found: dict[str, Clip] = {}
        places: dict[str, Path] = {}
        for file in motion_files(self.path):
            try:
                clip = read_clip(file)
                if not self._wanted(clip.name):
                    continue
                joint_columns(clip, robot)
                if clip.name in found:
                    raise MotionError(f"{file}: clip '{clip.name}' is in {places[clip.name]} too; rename one")
            except MotionError as error:
                problems.append(str(error))
            else:
                found[clip.name], places[clip.name] = clip, file
        if problems:
            more = len(problems) - _SHOWN_PROBLEMS
            raise MotionError("\n".join(problems[:_SHOWN_PROBLEMS] + ([f"and {more} more files"] if more > 0 else [])))
        for pattern in self.names:
            if not fnmatch.filter(found, pattern):
                raise MotionError(f"{self.path}: no clip is called '{pattern}'. {self._suggestion(pattern)}".rstrip())
        return [found[name] for name in sorted(found)]

    def _wanted(self, name: str) -> bool:
        return not self.names or any(fnmatch.fnmatchcase(name, pattern) for pattern in self.names)

    def _suggestion(self, pattern: str) -> str:
        known = [read_clip(file).name for file in motion_files(self.path)]
        return did_you_mean(pattern, known) or f"there are: {', '.join(sorted(known)[:6])}"


def motion_files(path: Path) -> Iterator[Path]:
    """Yield the motion files of a path in order, at least one. Raises MotionError."""
    if not path.is_dir():
        yield path
        return
    files = sorted(file for file in path.rglob("*.npz") if not file.name.startswith("."))
    if not files:
        raise MotionError(f"{path}: has no motion file (*.npz); make some with 'mtrack motions import FILES -o {path}'")
    yield from files
