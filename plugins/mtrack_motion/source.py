"""The motion source `motion_files`: a motion file, a directory of them, or a packed file, with weights per clip."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from mtrack import Clip, MotionError, Robot, RobotModel, component, non_negative, param, scratch
from mtrack.errors import did_you_mean
from mtrack_motion.derive import ContactRule
from mtrack_motion.library import MotionLibrary
from mtrack_motion.pack import Pack, is_pack
from mtrack_motion.reading import Selection, each_clip


@runtime_checkable
class HasPack(Protocol):
    """A source whose clips may already be packed with all derived quantities."""

    def packed(self, robot: Robot, control_dt: float, rule: ContactRule) -> MotionLibrary | None:
        """Return the packed clips as a library; None if they are not packed. Raises MotionError."""


@component
class MotionFiles:
    """Clips from motion files (see `mtrack motions import`) or from a packed file (see `mtrack motions pack`)."""

    path: Path = param()
    """A motion file (.npz), a directory with motion files (including its subdirectories), or a packed file."""
    names: tuple[str, ...] = param(default=())
    """Names of the clips to use; `*` and `?` match anything. Default: all clips."""
    allow_jumps: bool = param(default=False)
    """Whether to use clips that jump or repeat frames. For a packed file, `motions pack --allow-jumps` decides."""
    weights: Path | None = param(default=None)
    """Output of `mtrack eval --json`: clips that failed there are sampled more often."""
    weight_of_failure: float = param(default=4.0, validator=non_negative)
    """How much more often a clip that always failed is sampled [times]; proportional to the share of failures."""

    left_out: Mapping[str, str] = scratch()

    def clips(self, robot: RobotModel) -> Sequence[Clip]:
        """Return the usable clips, sorted by name; others are in `left_out`. Raises MotionError if none is usable."""
        if is_pack(self.path):
            pack = Pack.open(self.path)
            self.left_out = pack.facts["left_out"]
            return pack.clips(self._chosen(pack.names))
        selection = Selection(self.path, robot, self._wanted, self.allow_jumps)
        found = {clip.name: clip for _, clip, _ in selection}
        self.left_out = selection.left_out
        selection.raise_if_none()
        self._check_names([*found, *selection.left_out])
        return [found[name] for name in sorted(found)]

    def packed(self, robot: Robot, control_dt: float, rule: ContactRule) -> MotionLibrary | None:
        """Return the library of a packed file; None for motion files. Raises MotionError."""
        if not is_pack(self.path):
            return None
        pack = Pack.open(self.path)
        self.left_out = pack.facts["left_out"]
        return pack.library(robot, control_dt, rule, self._chosen(pack.names))

    def clip_weights(self, names: Sequence[str]) -> Sequence[float]:
        """Return a weight for each clip: 1, and more for clips that failed in the evaluation. Raises MotionError."""
        if self.weights is None:
            return [1.0] * len(names)
        failed = _failed_clips(self.weights)
        if failed and not failed.keys() & set(names):
            raise MotionError(
                f"{self.weights}: none of its clips is in {self.path}; use an evaluation of these motions"
            )
        return [1.0 + self.weight_of_failure * failed.get(name, 0.0) for name in names]

    def _wanted(self, name: str) -> bool:
        return not self.names or any(fnmatch.fnmatchcase(name, pattern) for pattern in self.names)

    def _chosen(self, names: Sequence[str]) -> list[int]:
        """Return the indices of the wanted clips. Raises MotionError."""
        self._check_names(names)
        return [number for number, name in enumerate(names) if self._wanted(name)]

    def _check_names(self, known: Iterable[str]) -> None:
        """Raise MotionError for a pattern that matches no clip."""
        for pattern in self.names:
            if not fnmatch.filter(known, pattern):
                raise MotionError(f"{self.path}: no clip is called '{pattern}'. {self._suggestion(pattern)}".rstrip())

    def _suggestion(self, pattern: str) -> str:
        if is_pack(self.path):
            known = list(Pack.open(self.path).names)
        else:
            known = [read().name for _, read in each_clip(self.path)]
        return did_you_mean(pattern, known) or f"available clips: {', '.join(sorted(known)[:6])}"


def _failed_clips(path: Path) -> dict[str, float]:
    """Return the share of failures of each failed clip of an evaluation. Raises MotionError."""
    try:
        listed = json.loads(path.read_text("utf-8"))["failed_clips"]
        failed = {str(entry["clip"]): float(entry["failed"]) for entry in listed}
    except OSError as error:
        raise MotionError(f"{path}: cannot be read: {error.strerror}; check the path") from None
    except (ValueError, KeyError, TypeError):
        raise MotionError(f"{path}: has no 'failed_clips'; create it with 'mtrack eval RUN --json > {path}'") from None
    if any(not 0.0 <= share <= 1.0 for share in failed.values()):
        raise MotionError(f"{path}: a share of failures is not between 0 and 1; create it again with 'mtrack eval'")
    return failed
