"""Read the clips of a path (a motion file, a directory or a packed file), and select those that a robot can use."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import TypeAlias

from mtrack import Clip, MotionError, RobotModel
from mtrack_motion.clip import content_hash
from mtrack_motion.clip_checks import why_unusable
from mtrack_motion.file import read_clip, require_motion_file
from mtrack_motion.file_kinds import kinds_of_files
from mtrack_motion.pack import Pack, is_pack

Read: TypeAlias = Callable[[], Clip]
_SHOWN_PROBLEMS = 10


def each_clip(path: Path) -> Iterator[tuple[Path, Read]]:
    """Yield the file and a reader of each clip of a path, in order, at least one. Raises MotionError.

    A reader can be pickled: it reads the file when it is called.
    """
    if is_pack(path):
        for number in range(len(_opened(path, path.stat().st_mtime_ns).names)):
            yield path, partial(_of_pack, path, number)
    else:
        for file in motion_files(path):
            yield file, partial(read_clip, file)


def motion_files(path: Path) -> Iterator[Path]:
    """Yield the motion files of a path in order, at least one. Raises MotionError."""
    if not path.is_dir():
        require_motion_file(path)
        yield path
        return
    files = sorted(file for file in path.rglob("*.npz") if not file.name.startswith("."))
    if not files:
        others = kinds_of_files(path)
        named = shlex.quote(str(path))
        remedy = f"mtrack motions import {named} -o DIR" if others else f"mtrack motions import FILES -o {named}"
        raise MotionError(f"{path}: has no motion file (.npz){f' but {others}' if others else ''}; try: {remedy}")
    yield from files


class Selection:
    """Iterates once over the clips of a path that a robot can use; afterwards knows what it left out."""

    def __init__(
        self,
        path: Path,
        robot: RobotModel,
        wanted: Callable[[str], bool] = lambda name: True,
        allow_jumps: bool = False,
    ) -> None:
        """Prepare to read; `wanted` returns whether a clip is wanted, given its name."""
        self._path, self._robot, self._wanted, self._allow_jumps = path, robot, wanted, allow_jumps
        self._places: dict[str, Path] = {}
        self._twins: dict[str, str] = {}
        self.left_out: dict[str, str] = {}
        """The reason, by clip, or by file if the file cannot be read."""
        self.duplicates: list[str] = []
        """Left-out clips whose motion is used under another name."""

    def __iter__(self) -> Iterator[tuple[Path, Clip, Read]]:
        """Yield file, clip and reader. Raises MotionError if two clips have the same name."""
        for file, read in each_clip(self._path):
            try:
                clip = read()
            except MotionError as error:
                self._leave_out(file.name, file, str(error))
                continue
            if not self._wanted(clip.name):
                continue
            if twin := self._twin(clip):
                self.duplicates.append(self._leave_out(clip.name, file, f"is the same motion as '{twin}'"))
                continue
            if reason := why_unusable(clip, self._robot, self._allow_jumps):
                self._leave_out(clip.name, file, reason)
                continue
            self._twins[content_hash(clip)] = clip.name
            if clip.name in self._places:
                raise MotionError(f"{file}: clip '{clip.name}' is also in {self._places[clip.name]}; rename one")
            self._places[clip.name] = file
            yield file, clip, read

    def raise_if_none(self) -> None:
        """Raise MotionError with the reasons if no clip can be used."""
        if not self._places and self.left_out:
            reasons = [f"{name}: {reason}" for name, reason in self.left_out.items()]
            more = len(reasons) - _SHOWN_PROBLEMS
            shown = reasons[:_SHOWN_PROBLEMS] + ([f"and {more} more"] if more > 0 else [])
            raise MotionError(f"{self._path}: no clip can be used\n  " + "\n  ".join(shown))

    def _twin(self, clip: Clip) -> str:
        """Return the name of a selected clip with the same motion, or an empty string."""
        return self._twins.get(content_hash(clip), "")

    def _leave_out(self, name: str, file: Path, reason: str) -> str:
        """Store a reason and return its key, which is unique even if another file has the same name."""
        if name in self.left_out:
            name = f"{name} ({file})"
        self.left_out[name] = reason
        return name


def _of_pack(path: Path, number: int) -> Clip:
    return _opened(path, path.stat().st_mtime_ns).clips([number])[0]


@lru_cache(maxsize=1)
def _opened(path: Path, changed: int) -> Pack:
    """Open a packed file once for all its clips; `changed` is when it was written."""
    return Pack.open(path)
