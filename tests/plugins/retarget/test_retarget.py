"""A robot moves like a recorded person: the same directions of limbs, stances on the floor, joints within limits."""

from __future__ import annotations

from pathlib import Path

import attrs
import numpy as np
import pytest
from support.clips import SAMPLES, needs_samples
from support.skeletons import walking_person
from support.small_biped import biped_xml

from mtrack import MotionError
from mtrack_formats.restricted import read_pickle
from mtrack_g1.robot import G1
from mtrack_retarget.closeness import keypoint_error
from mtrack_retarget.person import Person
from mtrack_retarget.repair import Repairer, RepairOptions
from mtrack_retarget.retarget import Retargeter, resampled
from mtrack_retarget.robot_limbs import find_limbs
from mtrack_retarget.scaled import scaled
from mtrack_retarget.to_person import to_person
from mtrack_robot.robot import Mjcf
from mtrack_testing import g1_model

FPS = 50.0


@pytest.fixture(scope="module")
def retargeter() -> Retargeter:
    return Retargeter(G1())


@pytest.fixture(scope="module")
def person() -> Person:
    return to_person(walking_person(frames=90))[0]


def test_limbs_of_the_g1_are_measured():
    limbs = find_limbs(G1())
    assert limbs.thighs == pytest.approx([0.324, 0.324], abs=2e-3)
    assert limbs.shins == pytest.approx([0.318, 0.318], abs=2e-3)
    assert limbs.upper_arms == pytest.approx([0.192, 0.192], abs=2e-3)
    assert limbs.forearms == pytest.approx([0.184, 0.184], abs=2e-3)
    assert limbs.ankle_height == pytest.approx(0.035)
    assert limbs.leg_reach == pytest.approx(limbs.leg, abs=0.01)
    assert limbs.wrists[:3] == ("left_wrist_roll_joint", "left_wrist_pitch_joint", "left_wrist_yaw_joint")


def test_the_robot_follows_the_person(retargeter, person):
    target = scaled(resampled(person, FPS), retargeter.limbs)
    motion = retargeter.follow(target)
    assert keypoint_error(retargeter, motion, target) < 0.03
    speed = np.abs(np.diff(motion.joint_pos, axis=0)) * FPS
    low, high = g1_model().joint_range.numpy().T
    assert (motion.joint_pos >= low - 1e-6).all()
    assert (motion.joint_pos <= high + 1e-6).all()
    assert (speed <= g1_model().velocity_limit.numpy()).all()
    # it walks as far as its shorter legs take it, in the same direction
    way = motion.root_pos[-1] - motion.root_pos[0]
    assert way[0] == pytest.approx(target.scale * 0.8 * 89 / 30.0, rel=0.05)
    assert abs(way[1]) < 0.05
    repaired = Repairer(G1())(motion, RepairOptions())
    assert max(repaired.after.hover_mm, repaired.after.penetration_mm) < 5
    assert repaired.after.skate_mm_per_s < 20
    assert keypoint_error(retargeter, repaired.motion, target) < 0.05


def test_size_and_heading_of_the_person_do_not_matter(retargeter, person):
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    other = attrs.evolve(person, parts={name: 1.2 * pos @ turn.T for name, pos in person.parts.items()})
    one, two = (retargeter(each, FPS) for each in (person, other))
    assert np.abs(one.joint_pos - two.joint_pos).max() < 1e-3
    assert two.root_pos @ turn - one.root_pos == pytest.approx(np.zeros_like(one.root_pos), abs=1e-3)


def test_the_same_person_gives_the_same_motion(retargeter, person):
    one, other = (retargeter(person, FPS) for _ in range(2))
    assert np.array_equal(one.joint_pos, other.joint_pos)


def test_a_slice_of_a_person_gives_the_slice_of_the_motion(retargeter, person):
    whole = scaled(resampled(person, FPS), retargeter.limbs)
    part = slice(50, 148)
    cut = attrs.evolve(
        whole,
        **{name: getattr(whole, name)[part] for name in ("pelvis_pos", "pelvis_rot", "chest_rot", "foot_rot")},
        sites={name: pos[part] for name, pos in whole.sites.items()},
    )
    motion, alone = retargeter.follow(whole), retargeter.follow(cut)
    inner = slice(30, -5)
    assert np.abs(alone.joint_pos[inner] - motion.joint_pos[part][inner]).max() < 0.02
    assert np.abs(alone.root_pos[inner] - motion.root_pos[part][inner]).max() < 2e-3


def test_a_person_without_toes_keeps_level_feet(retargeter, person):
    bare = attrs.evolve(person, parts={name: pos for name, pos in person.parts.items() if "toe" not in name})
    target = scaled(resampled(bare, FPS), retargeter.limbs)
    assert target.foot_rot[..., 2, 2] == pytest.approx(np.ones(target.foot_rot.shape[:2]))


def test_another_robot_is_retargeted_from_its_parts(tmp_path: Path, person):
    (tmp_path / "biped.xml").write_text(biped_xml())
    retargeter = Retargeter(Mjcf(path=tmp_path / "biped.xml"))
    target = scaled(resampled(person, FPS), retargeter.limbs)
    assert keypoint_error(retargeter, retargeter.follow(target), target) < 0.06


def test_a_robot_with_one_leg_is_rejected():
    class OneLeg(G1):
        def spec(self):
            spec = super().spec()
            spec.delete(spec.body("right_hip_pitch_link"))
            return spec

    with pytest.raises(MotionError, match="has no pair of legs"):
        find_limbs(OneLeg())


@needs_samples
def test_a_real_person_is_followed_more_closely_than_by_another_retargeter(retargeter):
    from mtrack_retarget.joint_positions import JointPositions

    file = SAMPLES / "asap" / "walk_level1.pkl"
    (motion,) = JointPositions().skeletons(file)
    target = scaled(resampled(to_person(motion)[0], FPS), retargeter.limbs)
    repaired = Repairer(G1())(retargeter.follow(target), RepairOptions())
    assert keypoint_error(retargeter, repaired.motion, target) < 0.03
    assert repaired.after.skate_mm_per_s < 20
    ((_, fields),) = read_pickle(file).items()
    assert len(fields["dof"]) / 30.0 == pytest.approx(len(repaired.motion) / FPS, abs=0.1)
