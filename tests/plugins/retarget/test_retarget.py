"""A robot moves like a recorded person: the same directions of limbs, stances on the floor, joints within limits."""

from __future__ import annotations

from pathlib import Path

import attrs
import mujoco
import numpy as np
import pytest
from support.clips import SAMPLES, needs_samples
from support.skeletons import walking_person
from support.small_biped import biped_xml

from mtrack_formats.restricted import read_pickle
from mtrack_g1.robot import G1
from mtrack_procedural.source import Procedural
from mtrack_retarget.closeness import keypoint_error
from mtrack_retarget.person import SIDES, Person
from mtrack_retarget.repair import Repairer, RepairOptions
from mtrack_retarget.retarget import Retargeter, resampled
from mtrack_retarget.robot_limbs import find_limbs, site_name
from mtrack_retarget.robot_motion import RobotMotion
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


def test_a_larger_twin_of_the_robot_gives_back_the_robots_own_walk(retargeter):
    (clip,) = Procedural(motions=("walk",), spread=0.0).clips(g1_model())
    walk = RobotMotion.of(clip, g1_model())
    target = scaled(twin(retargeter, walk), retargeter.limbs)
    repaired = Repairer(G1())(retargeter.follow(target), RepairOptions())
    assert target.scale == pytest.approx(0.8, abs=0.02)
    assert keypoint_error(retargeter, repaired.motion, target) < 0.015
    assert repaired.stance_share > 0.6
    assert max(repaired.after.hover_mm, repaired.after.penetration_mm) < 2
    assert repaired.after.skate_mm_per_s < 5
    legs = [g1_model().joint_names.index(name) for name in ("left_hip_pitch_joint", "right_knee_joint")]
    assert np.abs(repaired.motion.joint_pos - walk.joint_pos)[:, legs].mean() < 0.06
    assert repaired.motion.root_pos[-1, 0] - repaired.motion.root_pos[0, 0] == pytest.approx(
        walk.root_pos[-1, 0] - walk.root_pos[0, 0], rel=0.05
    )


def twin(retargeter: Retargeter, motion: RobotMotion) -> Person:
    """Return a person with the robot's limbs, 1.25 times as large, and its motion."""
    model, limbs = retargeter.body.model, retargeter.limbs
    data = mujoco.MjData(model)
    parts: dict[str, list[np.ndarray]] = {}
    for qpos in retargeter.body.qpos(motion):
        data.qpos[:] = qpos
        mujoco.mj_kinematics(model, data)
        held = [data.body(name) for name in (limbs.pelvis, limbs.chest)]
        frames = {body.name: (body.xpos, body.xmat.reshape(3, 3)) for body in held}
        for holder, offsets, part in ((limbs.pelvis, limbs.hips, "hip"), (limbs.chest, limbs.shoulders, "shoulder")):
            for side, offset in zip(SIDES, offsets, strict=True):
                parts.setdefault(f"{side}_{part}", []).append(frames[holder][0] + frames[holder][1] @ offset)
        parts.setdefault("pelvis", []).append(frames[limbs.pelvis][0].copy())
        parts.setdefault("chest", []).append(frames[limbs.chest][0].copy())
        for side in SIDES:
            for part in ("knee", "ankle", "elbow", "wrist"):
                parts.setdefault(f"{side}_{part}", []).append(data.site(site_name(side, part)).xpos.copy())
            parts.setdefault(f"{side}_toe", []).append(data.body(f"{side}_ankle_roll_link_toe").xpos.copy())
    return Person("twin", motion.fps, {name: 1.25 * np.array(pos) for name, pos in parts.items()})


def test_size_and_heading_of_the_person_do_not_matter(retargeter, person):
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    other = attrs.evolve(person, parts={name: 1.2 * pos @ turn.T for name, pos in person.parts.items()})
    one, two = (retargeter(each, FPS) for each in (person, other))
    assert np.abs(one.joint_pos - two.joint_pos).max() < 0.03
    assert two.root_pos @ turn - one.root_pos == pytest.approx(np.zeros_like(one.root_pos), abs=3e-3)


def test_the_same_person_gives_the_same_motion(retargeter, person):
    one, other = (retargeter(person, FPS) for _ in range(2))
    assert np.array_equal(one.joint_pos, other.joint_pos)


def test_a_slice_of_a_person_gives_the_slice_of_the_motion(retargeter, person):
    whole = scaled(resampled(person, FPS), retargeter.limbs)
    part = slice(50, 148)
    motion, alone = retargeter.follow(whole), retargeter.follow(whole.part(50, 148))
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
