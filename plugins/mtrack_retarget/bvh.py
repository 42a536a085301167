"""The skeleton source `bvh`: BVH files of any skeleton, read in blocks of frames."""

from __future__ import annotations

import itertools
import logging
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mtrack import MotionError, SkeletonMotion, component, param
from mtrack_formats.recording import POSSIBLE_FPS
from mtrack_retarget.bvh_hierarchy import Hierarchy, read_hierarchy
from mtrack_retarget.bvh_kinematics import BvhKinematics
from mtrack_retarget.robot_motion import Array

log = logging.getLogger(__name__)

_BLOCK = 2048  # frames; a block's matrices need about 20 MB
_MAX_NUMBERS = 100_000_000
"""Limit for the joint positions of a file: 800 MB, an hour of 75 joints at 120 Hz."""
_REMEDY = "copy or export the file again"


@component
class Bvh:
    """BVH files of any skeleton: every order of channels, and positions of every joint."""

    fps: float | None = param(default=None, validator=POSSIBLE_FPS)
    """Frame rate to use instead of the one in the file [1/s]."""

    def recognises(self, path: Path) -> str:
        """Return a description of what was found; empty if the file has another format."""
        try:
            with path.open("rb") as file:
                head = file.read(512).removeprefix(b"\xef\xbb\xbf").lstrip()
        except OSError:
            return ""
        return "BVH" if re.match(rb"HIERARCHY\s", head, re.IGNORECASE) else ""

    def skeletons(self, path: Path) -> Iterator[SkeletonMotion]:
        """Yield the one motion of a file. Raises MotionError that names file, line and remedy."""
        if not self.recognises(path):
            raise MotionError(f"{path}: is not a BVH file, which begins with HIERARCHY; {_REMEDY}")
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            lines = enumerate(file, start=1)
            hierarchy = read_hierarchy(lines, str(path))
            frames, fps = _read_timing(lines, path)
            if frames * len(hierarchy.joints) * 3 > _MAX_NUMBERS:
                raise MotionError(f"{path}: has {frames:,} frames of {len(hierarchy.joints)} joints; split it")
            kinematics = BvhKinematics(hierarchy)
            pos = np.empty((frames, len(hierarchy.joints), 3))
            filled = 0
            for block in _blocks(lines, hierarchy, frames, path):
                with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is reported with its joint
                    pos[filled : filled + len(block)] = kinematics.positions(block)
                filled += len(block)
        for note in kinematics.notes:
            log.info("%s: %s", path, note)
        yield SkeletonMotion(
            name=path.stem,
            fps=self.fps or fps,
            joint_names=hierarchy.names,
            pos=pos,
            parents=hierarchy.parents,
            rest_pos=kinematics.rest_positions(),
            source=path.name,
        )


def _read_timing(lines: Iterator[tuple[int, str]], path: Path) -> tuple[int, float | None]:
    """Return the number of frames and the frame rate, after the line MOTION. Raises MotionError."""
    frames = None
    for number, line in lines:
        if not line.strip():
            continue
        if frames is None:
            found = re.fullmatch(r"Frames\s*:?\s*(\d{1,9})", line.strip(), re.IGNORECASE)
            if not found:
                raise MotionError(f"{path}:{number}: expected 'Frames: N' after MOTION; {_REMEDY}")
            frames = int(found[1])
            continue
        timed = re.fullmatch(r"Frame\s*Time\s*:?\s*([-+.\deE]+)", line.strip(), re.IGNORECASE)
        try:
            return frames, _rate(timed[1] if timed else "")
        except ValueError:
            raise MotionError(f"{path}:{number}: expected 'Frame Time: SECONDS' after Frames; {_REMEDY}") from None
    raise MotionError(f"{path}: ends before its frames; {_REMEDY}")


def _rate(seconds: str) -> float | None:
    """Return frames per second: a whole number if the time was rounded, None for 0. Raises ValueError."""
    time = float(seconds)
    if time <= 0.0:
        return None
    digits = len(seconds.partition(".")[2]) if re.fullmatch(r"\d*\.\d+", seconds) else 9
    nearest = max(1, round(1.0 / time))
    return float(nearest) if abs(1.0 / nearest - time) < 10.0**-digits else 1.0 / time


def _blocks(lines: Iterator[tuple[int, str]], hierarchy: Hierarchy, frames: int, path: Path) -> Iterator[Array]:
    """Yield the numbers of the frames in blocks [n, columns]. Raises MotionError unless there are `frames` of them."""
    filled = ((number, line) for number, line in lines if not line.isspace())
    read = 0
    while block := list(itertools.islice(filled, _BLOCK)):
        if read + len(block) > frames:
            number = block[frames - read][0]
            raise MotionError(f"{path}:{number}: has more frames than the {frames} of its line 'Frames:'; {_REMEDY}")
        yield _numbers(block, hierarchy.num_columns, path)
        read += len(block)
    if read < frames:
        raise MotionError(
            f"{path}: has {read} of the {frames} frames of its line 'Frames:', so its end is missing; copy or export "
            f"the file again, or write {read} there to use what there is"
        )


def _numbers(block: list[tuple[int, str]], columns: int, path: Path) -> Array:
    """Return the numbers of some lines, [n, columns]. Raises MotionError with the first line that is wrong."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # numpy warns about text that is not a number
            table = np.fromstring("".join(line for _, line in block), sep=" ")
        per_line = {len(line.split()) for _, line in block}
        if per_line == {columns}:
            return table.reshape(len(block), columns)
    except (ValueError, DeprecationWarning):
        pass
    for number, line in block:
        words = line.split()
        if len(words) != columns:
            raise MotionError(
                f"{path}:{number}: has {len(words)} numbers, but the channels of the hierarchy are {columns}; {_REMEDY}"
            )
        for column, word in enumerate(words, start=1):
            try:
                float(word)
            except ValueError:
                raise MotionError(
                    f"{path}:{number}: column {column} is {word[:40]!r}, not a number; {_REMEDY}"
                ) from None
    return np.array([[float(word) for word in line.split()] for _, line in block])  # e.g. 1_000
