"""A folder with three clips, a file that is not a clip, and the packed file of all."""

from __future__ import annotations

from pathlib import Path

import attrs
from support.clips import swaying_clip

from mtrack import Clip
from mtrack_g1.robot import G1
from mtrack_motion.derive import ContactRule
from mtrack_motion.file import write_clip
from mtrack_motion.packing import pack_motions

DT, RULE = 0.02, ContactRule()


def clips() -> list[Clip]:
    return [swaying_clip(60, name="even"), swaying_clip(31, fps=30.0, name="slow"), swaying_clip(200, name="wide")]


def packed_folder(path: Path) -> Path:
    """Write clips/ and all.pack into an empty folder, and return it."""
    (path / "clips").mkdir()
    for number, clip in enumerate(reversed(clips())):
        write_clip(path / "clips" / f"{number}.npz", attrs.evolve(clip, source="made", licence="CC0"))
    (path / "clips" / "bad.npz").write_bytes(b"nothing")
    pack_motions(path / "clips", path / "all.pack", G1(), DT, RULE)
    return path
