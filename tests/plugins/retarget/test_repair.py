"""A motion that hovers, slides, overlaps and jumps is repaired; what was right stays as it is."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from support.clips import SAMPLES, needs_samples

from mtrack import Clip, MotionError
from mtrack_formats.asap import AsapPickle
from mtrack_g1.robot import G1
from mtrack_procedural.source import Procedural
from mtrack_retarget.repair import Repairer, RepairOptions
from mtrack_retarget.robot_motion import RobotMotion
from mtrack_testing import g1_model

DRIFT = 0.06  # m/s
GRAVITY = 9.81


@pytest.fixture(scope="module")
def repairer() -> Repairer:
    return Repairer(G1())


def built_in(name: str) -> RobotMotion:
    (clip,) = Procedural(motions=(name,), spread=0.0).clips(g1_model())
    return RobotMotion.of(clip, g1_model())


@pytest.fixture(scope="module")
def walk() -> RobotMotion:
    return built_in("walk")


def damaged(motion: RobotMotion, drift: float = DRIFT) -> RobotMotion:
    """Let a motion hover by 8 to 12 cm, and slide."""
    time = np.arange(len(motion)) / motion.fps
    offset = np.stack((drift * time, 0.0 * time, 0.1 + 0.02 * np.sin(2.0 * time)), axis=1)
    return attrs.evolve(motion, root_pos=motion.root_pos + offset)


def test_feet_that_hover_and_slide_stand_still_on_the_floor(repairer, walk):
    repaired = repairer(damaged(walk), RepairOptions())
    assert repaired.before.hover_mm > 80
    assert repaired.before.skate_mm_per_s > 40
    assert repaired.after.hover_mm < 2
    assert repaired.after.penetration_mm < 2
    assert repaired.after.skate_mm_per_s < 5
    assert repaired.joint_change_rad < 0.03
    assert 0.08 < repaired.lowered_m < 0.12
    # the drift is gone, and with it nearly everything that the damage changed
    assert np.abs(repaired.motion.root_pos - walk.root_pos)[10:-10].max() < 0.02


def test_the_path_of_the_root_can_be_kept(repairer, walk):
    motion = damaged(walk, drift=0.02)
    kept = repairer(motion, RepairOptions(keep_root_xy=True))
    assert kept.after.skate_mm_per_s < 5
    apart = np.linalg.norm((kept.motion.root_pos - motion.root_pos)[:, :2], axis=1)
    assert apart.mean() < 0.03
    assert kept.joint_change_rad > repairer(motion, RepairOptions()).joint_change_rad


def test_a_clean_motion_hardly_changes(repairer, walk):
    repaired = repairer(walk, RepairOptions())
    assert repaired.joint_change_rad < 0.01
    assert repaired.root_moved_m < 0.01
    assert not repaired.spikes


def test_low_steps_stay_steps(repairer):
    motion = built_in("step_in_place")
    repaired = repairer(damaged(motion, drift=0.0), RepairOptions()).motion
    lifts = [repairer.body.soles(repairer.body.qpos(one)).pos[..., 2].max() for one in (motion, repaired)]
    assert lifts[1] > 0.85 * lifts[0] > 0.03


def test_a_leap_stays_ballistic(repairer):
    robot, fps = g1_model(), 50.0
    ground, flight = 40, 20
    time = np.arange(flight) / fps
    speed = GRAVITY * time[-1] / 2.0
    height = np.zeros(2 * ground + flight)
    height[ground : ground + flight] = speed * time - GRAVITY * time**2 / 2.0
    count = len(height)
    motion = RobotMotion(
        fps,
        robot.default_root_pos.double().numpy() + height[:, None] * [0, 0, 1] + [0.0, 0.0, 0.07],
        np.tile([1.0, 0.0, 0.0, 0.0], (count, 1)),
        np.tile(robot.default_joint_pos.double().numpy(), (count, 1)),
    )
    repaired = repairer(motion, RepairOptions())
    inner = slice(ground + 5, ground + flight - 5)
    acceleration = np.diff(repaired.motion.root_pos[:, 2], 2)[inner] * fps**2
    assert acceleration == pytest.approx(np.full(len(acceleration), -GRAVITY), abs=1.5)
    assert repaired.motion.root_pos[ground + flight // 2, 2] - repaired.motion.root_pos[0, 2] == pytest.approx(
        height.max(), abs=0.02
    )
    assert repaired.after.hover_mm < 2


def test_links_that_overlap_are_moved_apart(repairer, walk):
    joints = list(g1_model().joint_names)
    motion = attrs.evolve(walk, joint_pos=walk.joint_pos.copy())
    inwards = np.sin(np.linspace(0.0, np.pi, 150)) ** 2
    motion.joint_pos[100:250, joints.index("left_shoulder_roll_joint")] -= 0.5 * inwards
    repaired = repairer(motion, RepairOptions())
    assert repaired.before.overlap_mm > 20
    assert repaired.after.overlap_mm < 2


def test_spikes_and_joints_beyond_their_range_are_repaired(repairer, walk):
    joints = list(g1_model().joint_names)
    motion = attrs.evolve(walk, joint_pos=walk.joint_pos.copy())
    elbow, wrist = joints.index("left_elbow_joint"), joints.index("left_wrist_pitch_joint")
    motion.joint_pos[90, elbow] += 0.5
    motion.joint_pos[50:150, wrist] = 2.0  # the limit is 1.61
    repaired = repairer(motion, RepairOptions())
    assert repaired.spikes == 1
    assert repaired.motion.joint_pos[90, elbow] == pytest.approx(walk.joint_pos[90, elbow], abs=0.05)
    assert repaired.before.beyond_range == pytest.approx(100 / len(walk))
    assert repaired.after.beyond_range == 0.0
    high = g1_model().joint_range[:, 1].numpy()
    assert (repaired.motion.joint_pos <= high + 1e-6).all()
    assert "1 frame with spikes replaced" in repaired.changes()


def test_joints_stay_below_their_speed_limits(repairer, walk):
    joints = list(g1_model().joint_names)
    motion = attrs.evolve(walk, joint_pos=walk.joint_pos.copy())
    motion.joint_pos[100:, joints.index("waist_yaw_joint")] += 1.5  # in one frame: 75 rad/s
    speed = np.abs(np.diff(repairer(motion, RepairOptions()).motion.joint_pos, axis=0)) * motion.fps
    assert (speed.max(axis=0) <= g1_model().velocity_limit.numpy() * 1.001).all()


def test_a_blend_with_standing_is_added_at_both_ends(repairer, walk):
    repaired = repairer(damaged(walk), RepairOptions(blend_s=0.5))
    assert len(repaired.motion) == len(walk) + 2 * 25
    start = repaired.motion.joint_pos[0]
    assert start == pytest.approx(g1_model().default_joint_pos.numpy(), abs=0.15)
    soles = repairer.body.soles(repairer.body.qpos(repaired.motion))
    assert np.abs(soles.pos[:25] - soles.pos[25]).max() < 2e-3  # on the same footholds
    assert repaired.after.hover_mm < 2


def test_a_part_of_a_motion_gives_the_part_of_the_result(repairer, walk):
    motion = damaged(walk)
    part = slice(100, 300)
    alone = repairer(motion.part(100, 300), RepairOptions()).motion
    whole = repairer(motion, RepairOptions()).motion
    inner = slice(50, 150)  # of the part: 50 frames from its ends
    assert np.abs(alone.joint_pos[inner] - whole.joint_pos[part][inner]).max() < 0.03
    assert np.abs(alone.root_pos[inner, 2] - whole.root_pos[part][inner, 2]).max() < 3e-3


def test_a_repair_gives_the_same_numbers_again(repairer, walk):
    one, other = (repairer(damaged(walk), RepairOptions()).motion for _ in range(2))
    assert np.array_equal(one.joint_pos, other.joint_pos)
    assert np.array_equal(one.root_pos, other.root_pos)


def test_a_motion_of_three_frames_is_rejected(repairer, walk):
    with pytest.raises(MotionError, match="has 3 frames; a repair needs at least 4"):
        repairer(walk.part(0, 3), RepairOptions())


@needs_samples
@pytest.mark.parametrize("name", ["walk_level1", "kick_level1"])
def test_a_real_clip_stands_after_the_repair(repairer, name):
    clip: Clip = next(AsapPickle(fill_missing=True).clips(SAMPLES / "asap" / f"{name}.pkl", G1()))
    repaired = repairer(RobotMotion.of(clip, g1_model()), RepairOptions())
    assert repaired.before.hover_mm > 20
    assert max(repaired.after.hover_mm, repaired.after.penetration_mm) < 5
    assert repaired.after.skate_mm_per_s < 20
    assert repaired.joint_change_rad < 0.1
    assert repaired.after.overlap_mm < 10
