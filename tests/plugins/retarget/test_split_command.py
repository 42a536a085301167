"""`mtrack motions split` as a user sees it."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
from support.clips import swaying_clip
from support.motion_commands import run

from mtrack_motion.file import read_clip, write_clip


def test_parts_join_up_and_keep_to_the_lengths(tmp_path):
    clip = swaying_clip(200, name="sway", source="made up")
    write_clip(tmp_path / "sway.npz", clip)
    result = run("split", tmp_path / "sway.npz", "-o", tmp_path / "out", "--longest", 1.0, "--shortest", 0.5, "--json")
    entries = json.loads(result.stdout)
    parts = [read_clip(Path(entry["file"])) for entry in entries]
    assert [part.name for part in parts] == [f"sway_{number:03d}" for number in range(len(parts))]
    assert all(0.5 <= entry["seconds"] <= 1.0 for entry in entries)
    assert sum(entry["frames"] - 1 for entry in entries) == 199
    for name in ("root_pos", "root_quat_wxyz", "joint_pos"):
        arrays = [getattr(part, name) for part in parts]
        assert all(np.array_equal(one[-1], other[0]) for one, other in itertools.pairwise(arrays))
        assert np.array_equal(np.concatenate((arrays[0], *(array[1:] for array in arrays[1:]))), getattr(clip, name))
    assert parts[1].source == f"made up; frames {entries[1]['first_frame']} to {entries[2]['first_frame']}"
    # fewer parts leave the rest of the others behind
    fewer = ("--longest", 2.0, "--shortest", 1.0, "--overwrite")
    said = run("split", tmp_path / "sway.npz", "-o", tmp_path / "out", *fewer, code=2).stderr
    assert "is a part of an earlier, longer list; remove it" in said
