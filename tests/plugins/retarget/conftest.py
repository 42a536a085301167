"""Directories of motions for the commands."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.clips import swaying_clip
from support.motion_commands import write_person

from mtrack_motion.file import write_clip


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Return a directory with two clips."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name, frames in (("sway", 30), ("long sway", 36)):
        write_clip(folder / f"{name}.npz", swaying_clip(frames, name=name, source="made up", licence="CC0"))
    return folder


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Return a directory with two people."""
    write_person(tmp_path / "in" / "walk.npz")
    write_person(tmp_path / "in" / "stroll.npz", 18)
    return tmp_path / "in"
