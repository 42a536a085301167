"""Checks of skeleton sources: valid motions, the same motions each time, files of other formats rejected."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mtrack import MotionError, SkeletonMotion
from mtrack_testing.motions import check_foreign_files
from mtrack_testing.promises import BrokenPromise, ComponentUnderTest, Report
from mtrack_testing.watch import no_global_draws


def check_skeleton_source(cls: type, sample: Path | None = None, **params: Any) -> Report:
    """Check that a skeleton source rejects other formats, and reads `sample` if given. Raises BrokenPromise."""
    subject = ComponentUnderTest("skeleton_source", cls, params)
    subject.check_contract()
    source = subject.make()
    check_foreign_files(subject, source.recognises, source.skeletons)
    if sample is None:
        return Report(str(subject), (), ("contract", "foreign files"), ("reading is not checked without a sample",))
    try:
        with no_global_draws(subject), subject.guard("sample"):
            found = source.recognises(sample)
            motions, again = (list(source.skeletons(sample)) for _ in range(2))
    except MotionError as error:
        raise BrokenPromise("sample", str(subject), str(error), "give a sample that fits the parameters") from error
    subject.require(
        bool(found), "sample", f"it does not recognise {sample.name}", "return a description of what was found"
    )
    _check_motions(subject, motions)
    subject.require(
        len(motions) == len(again) and all(map(_same, motions, again)),
        "same motions",
        f"{sample.name} gives other motions if it is read again",
        "keep no state between files",
    )
    return Report(str(subject), (), ("contract", "foreign files", "sample", "motions", "same motions"))


def _check_motions(subject: ComponentUnderTest, motions: Sequence[SkeletonMotion]) -> None:
    """Raise BrokenPromise if there are no motions, or one is invalid."""
    subject.require(bool(motions), "motions", "there are no motions", "raise MotionError with the reason")
    names = [motion.name for motion in motions]
    subject.require(len(set(names)) == len(names), "motions", f"motions share a name: {names}", "number them")
    for motion in motions:
        count = len(motion.joint_names)
        subject.require(
            motion.pos.ndim == 3 and motion.pos.shape[1:] == (count, 3) and motion.pos.dtype.kind == "f",
            "motions",
            f"pos of '{motion.name}' is {motion.pos.shape} {motion.pos.dtype}, with {count} joint names",
            f"use floating-point numbers, [T, {count}, 3]",
        )
        subject.require(
            motion.rest_pos is None or motion.rest_pos.shape == (count, 3),
            "motions",
            f"rest_pos of '{motion.name}' has another number of joints",
            f"use None, or numbers [{count}, 3]",
        )
        is_tree = len(motion.parents) in (0, count) and all(-1 <= parent < count for parent in motion.parents)
        subject.require(
            is_tree,
            "motions",
            f"parents of '{motion.name}' are {motion.parents}",
            "give the index of each joint's parent, -1 for the root, or leave it empty",
        )
        subject.require(
            (motion.fps is None or motion.fps > 0)
            and (motion.unit_m is None or motion.unit_m > 0)
            and motion.up in ("", "y", "z")
            and len(set(motion.joint_names)) == count,
            "motions",
            f"'{motion.name}' has fps {motion.fps}, unit_m {motion.unit_m}, up '{motion.up}', or joint names twice",
            "use None or '' for what the file does not say",
        )


def _same(a: SkeletonMotion, b: SkeletonMotion) -> bool:
    words = ("name", "fps", "joint_names", "parents", "unit_m", "up", "source", "licence")
    tables = ((a.pos, b.pos), (a.rest_pos, b.rest_pos))
    return all(getattr(a, word) == getattr(b, word) for word in words) and all(
        one is other if one is None or other is None else np.array_equal(one, other, equal_nan=True)
        for one, other in tables
    )
