"""The checks of motion sources and importers: sound clips, the same ones each time, foreign files left to others."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mtrack.errors import MotionError, MtrackError
from mtrack.exchange import Clip
from mtrack_testing.promises import BrokenPromise, Report, Subject
from mtrack_testing.watch import undrawn
from mtrack_testing.worlds import WORLDS

_FOREIGN = {"nothing.bin": b"", "noise.pkl": bytes(range(256)) * 4, "prose.csv": b"to be or not to be\n" * 9}


def check_motion(cls: type, **params: Any) -> Report:
    """Check a source of clips for the robots it has some for. Raises BrokenPromise."""
    subject = Subject("motion", cls, params)
    subject.check_contract()
    robots, refusals = [], []
    for world in WORLDS:
        here = subject.on(world.name)
        try:
            with undrawn(here), here.explained("clips"):
                clips, again = (here.make().clips(world.model) for _ in range(2))
        except MtrackError as error:
            refusals.append(f"not for the {world.name} robot: {error}")
            continue
        robots.append(world.name)
        check_clips(here, clips, set(world.model.joint_names))
        equal = len(clips) == len(again) and all(same_motion(a, b) for a, b in zip(clips, again, strict=True))
        here.require(equal, "same clips", "asked again it gives other clips", "draw from a seed among its parameters")
    if not robots:
        subject.fail("clips", "; ".join(refusals), "give the parameters it needs")
    return Report(str(subject), tuple(robots), ("contract", "clips", "same clips"), tuple(refusals))


def check_importer(cls: type, sample: Path | None = None, **params: Any) -> Report:
    """Check that an importer leaves foreign files alone, and reads `sample`, if given. Raises BrokenPromise."""
    subject = Subject("importer", cls, params)
    subject.check_contract()
    importer = subject.make()
    with tempfile.TemporaryDirectory() as folder:
        for name, content in _FOREIGN.items():
            path = Path(folder) / name
            path.write_bytes(content)
            with subject.explained("foreign files", "look at the content, and return '' for what is not of the format"):
                found = importer.recognises(path)
            subject.require(found == "", "foreign files", f"it takes {name} for {found!r}", "look at the content")
            _refuses(subject, importer, path)
    if sample is None:
        return Report(str(subject), (), ("contract", "foreign files"), ("no sample was given to read",))
    try:
        with undrawn(subject), subject.explained("sample"):
            found = importer.recognises(sample)
            clips, again = (list(importer.clips(sample, WORLDS[-1].robot)) for _ in range(2))
    except MotionError as error:
        raise BrokenPromise("sample", str(subject), str(error), "give a sample and parameters that fit") from error
    subject.require(bool(found), "sample", f"it does not recognise {sample.name}", "say in words what was found")
    check_clips(subject, clips, None)
    subject.require(
        all(same_motion(a, b) for a, b in zip(clips, again, strict=True)),
        "same clips",
        f"{sample.name} gives other clips when read again",
        "keep nothing from file to file",
    )
    return Report(str(subject), (), ("contract", "foreign files", "sample", "clips", "same clips"))


def check_clips(subject: Subject, clips: Sequence[Clip], joints: set[str] | None) -> None:
    """Raise BrokenPromise unless there are clips, each sound; of a robot with the given joints."""
    subject.require(bool(clips), "clips", "there are none", "raise MotionError that says why")
    names = [clip.name for clip in clips]
    subject.require(len(set(names)) == len(names), "clips", f"two clips of one name: {names}", "number them")
    for clip in clips:
        frames = len(clip.root_pos)
        shapes = {"root_pos": (frames, 3), "root_quat_wxyz": (frames, 4), "joint_pos": (frames, len(clip.joint_names))}
        for name, shape in shapes.items():
            value = getattr(clip, name)
            subject.require(
                frames > 0 and value.shape == shape and value.dtype == np.float32 and bool(np.isfinite(value).all()),
                "clips",
                f"{name} of '{clip.name}' is {value.shape} {value.dtype}",
                f"give finite float32 numbers, {shape}",
            )
        off = float(np.abs(np.linalg.norm(clip.root_quat_wxyz, axis=1) - 1.0).max())
        subject.require(off < 1e-3, "clips", f"quaternions of '{clip.name}' are off 1 by {off:.2g}", "normalise them")
        subject.require(clip.fps > 0, "clips", f"fps of '{clip.name}' is {clip.fps}", "say the true frame rate [Hz]")
        strange = set(clip.joint_names) - (joints if joints is not None else set(clip.joint_names))
        subject.require(not strange, "clips", f"'{clip.name}' has unknown joints {sorted(strange)}", "use the robot's")


def same_motion(a: Clip, b: Clip) -> bool:
    """Say whether two clips are equal bit for bit, names and origin included."""
    words = ("name", "fps", "joint_names", "source", "licence")
    tables = ("root_pos", "root_quat_wxyz", "joint_pos")
    return all(getattr(a, word) == getattr(b, word) for word in words) and all(
        np.array_equal(getattr(a, table), getattr(b, table)) for table in tables
    )


def _refuses(subject: Subject, importer: Any, path: Path) -> None:
    try:
        with subject.explained("foreign files", "raise MotionError naming file, place and remedy"):
            clips = list(importer.clips(path, WORLDS[-1].robot))
    except MotionError as error:
        named = path.name in str(error)
        subject.require(named, "foreign files", f"its error does not name {path.name}: {error}", "name file and place")
    else:
        subject.fail("foreign files", f"it reads {len(clips)} clips from {path.name}", "raise MotionError")
