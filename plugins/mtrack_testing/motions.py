"""Checks of motion sources and importers: valid clips, the same clips each time, other formats rejected."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mtrack import Clip, MotionError, MtrackError
from mtrack_testing.promises import BrokenPromise, ComponentUnderTest, Report
from mtrack_testing.watch import no_global_draws
from mtrack_testing.worlds import WORLDS

_FOREIGN = {"nothing.bin": b"", "noise.pkl": bytes(range(256)) * 4, "prose.csv": b"to be or not to be\n" * 9}


def check_motion(cls: type, **params: Any) -> Report:
    """Check a motion source for each robot that it has clips for. Raises BrokenPromise."""
    subject = ComponentUnderTest("motion", cls, params)
    subject.check_contract()
    robots, refusals = [], []
    for world in WORLDS:
        here = subject.on(world.name)
        try:
            with no_global_draws(here), here.guard("clips"):
                clips, again = (here.make().clips(world.model) for _ in range(2))
        except MtrackError as error:
            refusals.append(f"not for the {world.name} robot: {error}")
            continue
        robots.append(world.name)
        check_clips(here, clips, set(world.model.joint_names))
        equal = len(clips) == len(again) and all(same_motion(a, b) for a, b in zip(clips, again, strict=True))
        here.require(equal, "same clips", "a second call gives other clips", "draw from a seed that is a parameter")
    if not robots:
        subject.fail("clips", "; ".join(refusals), "give the parameters that it needs")
    return Report(str(subject), tuple(robots), ("contract", "clips", "same clips"), tuple(refusals))


def check_importer(cls: type, sample: Path | None = None, **params: Any) -> Report:
    """Check that an importer rejects files of other formats, and reads `sample` if given. Raises BrokenPromise."""
    subject = ComponentUnderTest("importer", cls, params)
    subject.check_contract()
    importer = subject.make()
    check_foreign_files(subject, importer.recognises, lambda path: importer.clips(path, WORLDS[-1].robot))
    if sample is None:
        return Report(str(subject), (), ("contract", "foreign files"), ("reading is not checked without a sample",))
    try:
        with no_global_draws(subject), subject.guard("sample"):
            found = importer.recognises(sample)
            clips, again = (list(importer.clips(sample, WORLDS[-1].robot)) for _ in range(2))
    except MotionError as error:
        raise BrokenPromise("sample", str(subject), str(error), "give a sample that fits the parameters") from error
    subject.require(
        bool(found), "sample", f"it does not recognise {sample.name}", "return a description of what was found"
    )
    check_clips(subject, clips, None)
    subject.require(
        all(same_motion(a, b) for a, b in zip(clips, again, strict=True)),
        "same clips",
        f"{sample.name} gives other clips if it is read again",
        "keep no state between files",
    )
    return Report(str(subject), (), ("contract", "foreign files", "sample", "clips", "same clips"))


def check_clips(subject: ComponentUnderTest, clips: Sequence[Clip], joints: set[str] | None) -> None:
    """Raise BrokenPromise if there are no clips or one is invalid; `joints` are those of the robot, if known."""
    subject.require(bool(clips), "clips", "there are no clips", "raise MotionError with the reason")
    names = [clip.name for clip in clips]
    subject.require(len(set(names)) == len(names), "clips", f"clips share a name: {names}", "number them")
    for clip in clips:
        frames = len(clip.root_pos)
        shapes = {"root_pos": (frames, 3), "root_quat_wxyz": (frames, 4), "joint_pos": (frames, len(clip.joint_names))}
        for name, shape in shapes.items():
            value = getattr(clip, name)
            subject.require(
                frames > 0 and value.shape == shape and value.dtype == np.float32 and bool(np.isfinite(value).all()),
                "clips",
                f"{name} of '{clip.name}' is {value.shape} {value.dtype}",
                f"use finite float32 numbers, {shape}",
            )
        off = float(np.abs(np.linalg.norm(clip.root_quat_wxyz, axis=1) - 1.0).max())
        subject.require(
            off < 1e-3,
            "clips",
            f"norms of the quaternions of '{clip.name}' differ from 1 by {off:.2g}",
            "normalise them",
        )
        subject.require(clip.fps > 0, "clips", f"fps of '{clip.name}' is {clip.fps}", "set the true frame rate [Hz]")
        strange = set(clip.joint_names) - (joints if joints is not None else set(clip.joint_names))
        subject.require(
            not strange, "clips", f"'{clip.name}' has unknown joints {sorted(strange)}", "use the names of the robot"
        )


def same_motion(a: Clip, b: Clip) -> bool:
    """Return whether two clips are equal bit for bit, names and origin included."""
    words = ("name", "fps", "joint_names", "source", "licence")
    tables = ("root_pos", "root_quat_wxyz", "joint_pos")
    return all(getattr(a, word) == getattr(b, word) for word in words) and all(
        np.array_equal(getattr(a, table), getattr(b, table)) for table in tables
    )


def check_foreign_files(
    subject: ComponentUnderTest, recognises: Callable[[Path], str], read: Callable[[Path], Iterable[object]]
) -> None:
    """Raise BrokenPromise unless a reader recognises no file of noise, and explains why it does not read it."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in _FOREIGN.items():
            path = Path(folder) / name
            path.write_bytes(content)
            with subject.guard("foreign files", "check the content, and return '' if it is not of the format"):
                found = recognises(path)
            subject.require(found == "", "foreign files", f"it recognises {name} as {found!r}", "check the content")
            _check_rejected(subject, read, path)


def _check_rejected(subject: ComponentUnderTest, read: Callable[[Path], Iterable[object]], path: Path) -> None:
    try:
        with subject.guard("foreign files", "raise MotionError with the file, the place in it and a fix"):
            motions = list(read(path))
    except MotionError as error:
        named = path.name in str(error)
        subject.require(
            named, "foreign files", f"its error does not name {path.name}: {error}", "name the file and the place in it"
        )
    else:
        subject.fail("foreign files", f"it reads {len(motions)} motions from {path.name}", "raise MotionError")
