"""Silent faults: if a file contains more than the motion, each one is always corrected with a warning or rejected."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import attrs
import numpy as np
import pytest
from support.clips import ROBOT, swaying_clip
from support.foreign import FORMATS, importer_of, turned, write
from support.import_faults import faults, joints_permuted, outcome, table

from mtrack_procedural.source import Procedural

PAGE = Path(__file__).resolve().parents[3] / "docs" / "motions.md"
NOT_PROVEN = {"Unitree csv", "ASAP pickle, no pose_aa", "GMR npz, no bodies"}
PROVEN = {
    "joint order": {*FORMATS} - NOT_PROVEN,
    "body order": {*FORMATS} - {"Unitree csv", "ASAP pickle", "ASAP pickle, no pose_aa", "GMR npz, no bodies"},
    "quaternion order": {
        "ASAP pickle",
        "BeyondMimic npz (Isaac)",
        "BeyondMimic npz (mjlab)",
        "holosoma npz",
        "GentleHumanoid npz",
    },
    "quaternion order, root only": {"ASAP pickle", "holosoma npz"},
    "frame rate": {"BeyondMimic npz (Isaac)", "BeyondMimic npz (mjlab)", "holosoma npz"},
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """The outcome of each fault in each format; also writes the table into the temporary files of the tests."""
    folder, found = tmp_path_factory.mktemp("faults"), {}
    rng = np.random.default_rng(0)
    # one that looks along x, and one that looks back, in which an exchange of x, y, z, w and w, x, y, z shows least
    for turn in (0.0, np.pi):
        for names, clip in ((PROVEN["joint order"], lively_clip()), (NOT_PROVEN, walking_clip())):
            looking = turned(clip, turn) if turn else clip
            for kind, fault in faults(rng, looking):
                for name in FORMATS:
                    if name in names and (result := outcome(name, looking, fault, folder)):
                        found.setdefault((name, kind), Counter())[result] += 1
    (tmp_path_factory.getbasetemp() / "import_faults.md").write_text(table(found, PROVEN))
    return found


def walking_clip():
    """Return some steps of a walk: a motion that looks plausible in its own order."""
    (clip,) = Procedural(motions=("walk",)).clips(ROBOT.model())
    part = slice(120, 220)
    return attrs.evolve(
        clip, root_pos=clip.root_pos[part], root_quat_wxyz=clip.root_quat_wxyz[part], joint_pos=clip.joint_pos[part]
    )


def lively_clip():
    """Return a clip in which no two joints move alike."""
    clip = swaying_clip(40)
    phase = np.arange(29)
    swing = 0.1 * np.sin(4.0 * np.arange(40)[:, None] / 50 + phase) + 0.02 * phase
    return swaying_clip(40, joint_pos=(clip.joint_pos + swing).astype(np.float32))


@pytest.mark.parametrize("kind", PROVEN)
def test_a_fault_is_always_corrected_or_rejected_if_the_file_holds_proof(outcomes, kind):
    for name in PROVEN[kind]:
        counts = outcomes[name, kind]
        assert counts.total() >= 2
        assert counts.total() == counts["corrected"] + counts["rejected"], f"{name}: {counts}"


def test_a_quaternion_order_that_the_file_proves_is_corrected(outcomes):
    for name in PROVEN["quaternion order"]:
        assert set(outcomes[name, "quaternion order"]) == {"corrected"}


def test_joints_that_move_no_body_of_the_file_are_named(tmp_path, caplog):
    ankles = list(range(29))
    ankles[5], ankles[11] = 11, 5  # left and right ankle roll: they rotate the feet about their own origins

    def change(content):
        joints_permuted(ankles)(content)
        kept = [i for i, name in enumerate(content["link_body_list"]) if not name.endswith(("_toe", "_of_gmr"))]
        content["link_body_list"] = [content["link_body_list"][i] for i in kept]
        content["local_body_pos"] = content["local_body_pos"][:, kept]

    (clip,) = importer_of("GMR pkl").clips(write("GMR pkl", lively_clip(), tmp_path, change), ROBOT)
    assert not np.array_equal(clip.joint_pos, lively_clip().joint_pos)
    (said,) = [record.getMessage() for record in caplog.records if "move no body of the file" in record.getMessage()]
    assert "left_ankle_roll_joint, right_ankle_roll_joint" in said
    assert "knee" not in said


def test_joints_without_a_named_body_below_them_are_named_if_a_file_lists_only_some_bodies(tmp_path, caplog):
    def change(content):
        kept = [i for i, name in enumerate(content["body_names"]) if "wrist" not in name and "hand" not in name]
        for field in ("body_names", "local_body_pos", "local_body_rot"):
            content[field] = content[field][kept] if field == "body_names" else content[field][:, kept]

    path = write("GentleHumanoid npz", lively_clip(), tmp_path, change)
    list(importer_of("GentleHumanoid npz").clips(path, ROBOT))
    (said,) = [record.getMessage() for record in caplog.records if "move no body of the file" in record.getMessage()]
    assert said.endswith(": " + ", ".join(name for name in ROBOT.model().joint_names if "wrist" in name))


def test_the_table_of_the_documentation_is_the_one_these_tests_find(outcomes):
    found = re.search(r"<!-- import faults -->\n(.*?)\n\n", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found, "docs/motions.md marks no table with <!-- import faults -->"
    assert found[1] + "\n" == table(outcomes, PROVEN)
