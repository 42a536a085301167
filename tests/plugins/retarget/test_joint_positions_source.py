"""The skeleton source `joint_positions` reads positions with names, or says which order it assumes."""

from __future__ import annotations

import logging
import pickle

import numpy as np
import pytest
from support.skeletons import walking_person

from mtrack import MotionError
from mtrack.registry.registry import Registry
from mtrack_retarget.joint_positions import JointPositions
from mtrack_retarget.smpl_joints import BODY_JOINTS, HANDS
from mtrack_retarget.to_person import to_person

MOTION = walking_person()


def read(path, **options):
    assert "joint positions" in JointPositions(**options).recognises(path)
    (motion,) = JointPositions(**options).skeletons(path)
    return motion


@pytest.mark.parametrize(
    ("positions", "names", "fps"),
    [("positions", "joint_names", "fps"), ("joints", "names", "mocap_framerate"), ("joint_positions", "joints", "fps")],
)
def test_the_members_may_have_several_names(tmp_path, positions, names, fps):
    order = np.random.default_rng(0).permutation(len(BODY_JOINTS))
    members = {positions: MOTION.pos[:, order], names: np.array(BODY_JOINTS)[order], fps: np.array(30.0)}
    np.savez(tmp_path / "walk.npz", **members)
    motion = read(tmp_path / "walk.npz")
    assert (motion.name, motion.fps, motion.up, motion.unit_m) == ("walk", 30.0, "", None)
    person, reading = to_person(motion)
    assert (reading.unit, reading.up) == ("metres", "z")
    assert np.allclose(person.parts["left_toe"], MOTION.pos[:, BODY_JOINTS.index("left_foot")])
    assert read(tmp_path / "walk.npz", fps=60.0).fps == 60.0


def test_smpls_order_is_assumed_aloud(tmp_path, caplog):
    np.savez(tmp_path / "walk.npz", positions=MOTION.pos, fps=np.array(30))
    with caplog.at_level(logging.WARNING):
        motion = read(tmp_path / "walk.npz")
    assert "assumed the order of SMPL's 22 joints" in caplog.text
    assert motion.parents == MOTION.parents
    np.savez(tmp_path / "walk.npz", positions=MOTION.pos[:, :20])
    with pytest.raises(MotionError, match=r"walk\.npz: 'positions' has 20 joints without names; add joint_names"):
        read(tmp_path / "walk.npz")


def test_names_and_parents_must_fit(tmp_path):
    np.savez(tmp_path / "walk.npz", positions=MOTION.pos, names=np.array(BODY_JOINTS[1:]))
    with pytest.raises(MotionError, match="'names' has 21 names, but 'positions' has 22 joints"):
        read(tmp_path / "walk.npz")
    for parents, message in ((np.arange(3), "is not an index"), (np.full(22, 22), "outside -1 to 21")):
        np.savez(tmp_path / "walk.npz", positions=MOTION.pos, parents=parents)
        with pytest.raises(MotionError, match=message):
            read(tmp_path / "walk.npz")


def test_the_persons_in_a_pickle_of_asap_are_read(tmp_path):
    joints = np.concatenate((MOTION.pos, MOTION.pos[:, -2:]), axis=1)
    content = {"walk": {"smpl_joints": joints, "dof": np.zeros((60, 23)), "fps": 30}, "run": {"smpl_joints": joints}}
    (tmp_path / "two.pkl").write_bytes(pickle.dumps(content))
    source = JointPositions()
    assert source.recognises(tmp_path / "two.pkl") == "ASAP pickle, 2 persons"
    first, second = source.skeletons(tmp_path / "two.pkl")
    assert (first.name, first.fps, first.unit_m, first.up) == ("walk", 30.0, 1.0, "z")
    assert (second.name, second.fps) == ("run", None)
    assert first.joint_names == (*BODY_JOINTS, *HANDS)
    assert np.array_equal(first.pos, joints)


def test_no_two_sources_claim_one_file(tmp_path):
    registry = Registry.scan(allow=())
    sources = {entry.name: registry.load(entry)() for entry in registry.of("skeleton_source")}
    np.savez(tmp_path / "pos.npz", positions=MOTION.pos)
    np.savez(tmp_path / "smpl.npz", poses=np.zeros((3, 156)), trans=np.zeros((3, 3)), joints=np.zeros((3, 24)))
    np.savez(tmp_path / "robot.npz", joint_pos=np.zeros((3, 29)), root_pos=np.zeros((3, 3)), body_pos_w=np.zeros(3))
    (tmp_path / "walk.bvh").write_text("HIERARCHY\nROOT Hips\n")
    claims = {
        path.name: [name for name, source in sources.items() if source.recognises(path)] for path in tmp_path.iterdir()
    }
    assert claims == {
        "pos.npz": ["joint_positions"],
        "smpl.npz": ["smpl"],
        "robot.npz": [],
        "walk.bvh": ["bvh"],
    }
