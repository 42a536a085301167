"""The library: frames at the control rate, velocities, feet, and gathering."""

from __future__ import annotations

import logging
import math

import attrs
import numpy as np
import pytest
import torch
from support.clips import swaying_clip

from mtrack import Kinematics, MotionError
from mtrack.api.cached_tensors import derived
from mtrack.math import quat_from_rotation_vector, quat_multiply, quat_rotate
from mtrack_g1.robot import G1
from mtrack_motion.derive import ContactRule, angular_velocity, difference, resample, standing_feet
from mtrack_motion.library import MotionLibrary

DT = 0.02
BASE = [field.name for field in attrs.fields(Kinematics) if field.name != "cache"]
DERIVED = [name for name, value in vars(Kinematics).items() if isinstance(value, derived)]


@pytest.fixture(scope="module")
def library():
    clips = [(2.0, swaying_clip(60, name="even")), (1.0, swaying_clip(31, fps=30.0, name="slow"))]
    return MotionLibrary.build(G1(), clips, DT)


def all_columns(clip):
    return list(range(len(clip.joint_names)))


# ---- rate


def test_a_clip_at_the_control_rate_is_kept_exactly():
    clip = swaying_clip(fps=50.0)
    frames = resample(clip, all_columns(clip), DT)
    for name in ("root_pos", "root_quat_wxyz", "joint_pos"):
        assert np.array_equal(getattr(frames, name).float().numpy(), getattr(clip, name))


def test_another_rate_is_interpolated_linearly_in_time():
    clip = swaying_clip(31, fps=30.0)
    ramp = np.repeat(np.arange(31, dtype=np.float32)[:, None] / 30.0, 3, axis=1)
    frames = resample(attrs.evolve(clip, root_pos=ramp), all_columns(clip), DT)
    assert len(frames.root_pos) == 51
    torch.testing.assert_close(frames.root_pos[:, 0], torch.arange(51, dtype=torch.float64) * DT, atol=1e-6, rtol=0)


def test_orientations_turn_steadily_between_frames_and_stay_unit():
    turn = quat_from_rotation_vector(torch.tensor([[0.0, 0.0, 0.3]]) * torch.arange(5)[:, None]).numpy()
    turn[2] *= -1.0  # the same orientation, written with the other sign
    frames = resample(swaying_clip(5, fps=10.0, root_quat_wxyz=turn), list(range(29)), 0.025)
    expected = quat_from_rotation_vector(torch.tensor([0.0, 0.0, 0.075]) * torch.arange(17)[:, None]).double()
    along = (frames.root_quat_wxyz * expected).sum(dim=1).abs()
    torch.testing.assert_close(along, torch.ones(17, dtype=torch.float64), atol=1e-6, rtol=0)


def test_a_clip_shorter_than_a_control_step_is_rejected():
    with pytest.raises(MotionError, match="shorter than one control step"):
        resample(swaying_clip(3, fps=1000.0), list(range(29)), DT)


# ---- velocities


def test_differences_are_central_and_one_sided_at_the_ends():
    values = torch.tensor([[0.0], [1.0], [4.0], [9.0]])
    assert difference(values, 0.5).flatten().tolist() == [2.0, 4.0, 8.0, 10.0]


def test_angular_velocity_is_that_of_the_turn_in_world_axes():
    rate = torch.tensor([0.3, -1.0, 2.0], dtype=torch.float64)
    start = quat_from_rotation_vector(torch.tensor([0.5, 0.2, -0.7], dtype=torch.float64))
    turn = quat_from_rotation_vector(rate * (torch.arange(6, dtype=torch.float64) * DT)[:, None])
    quat = quat_multiply(turn, start.expand(6, 4))
    quat[3] *= -1.0
    torch.testing.assert_close(angular_velocity(quat, DT), rate.expand(6, 3), atol=1e-6, rtol=0)


def test_body_velocities_are_those_of_the_moving_bodies(library):
    motion = library.gather(torch.arange(60))
    moved = difference(motion.body_pos.flatten(1).double(), DT).unflatten(1, (-1, 3))
    error = (motion.body_lin_vel - moved)[2:-2].norm(dim=-1).max()
    assert motion.body_lin_vel.norm(dim=-1).max() > 0.1
    assert error < 5e-3


# ---- names


def test_joints_are_matched_by_name_not_by_column():
    clip = swaying_clip()
    order = list(reversed(range(29)))
    names = tuple(clip.joint_names[i] for i in order)
    shuffled = attrs.evolve(clip, joint_names=names, joint_pos=clip.joint_pos[:, order])
    library = MotionLibrary.build(G1(), [(1.0, shuffled)], DT)
    assert np.array_equal(library.gather(torch.arange(40)).joint_pos.numpy(), clip.joint_pos)


def test_a_missing_joint_is_named():
    clip = swaying_clip()
    short = attrs.evolve(clip, joint_names=clip.joint_names[:-1], joint_pos=clip.joint_pos[:, :-1])
    with pytest.raises(MotionError, match=r"'right_wrist_yaw_joint' of robot 'g1'.*--fill-missing"):
        MotionLibrary.build(G1(), [(1.0, short)], DT)


def test_a_joint_that_the_robot_lacks_is_ignored_with_a_warning(caplog):
    clip = swaying_clip()
    names = (*clip.joint_names, "left_thumb_joint")
    wide = attrs.evolve(clip, joint_names=names, joint_pos=np.pad(clip.joint_pos, ((0, 0), (0, 1))))
    with caplog.at_level(logging.WARNING):
        MotionLibrary.build(G1(), [(1.0, wide)], DT)
    assert "left_thumb_joint" in caplog.text


def test_an_invalid_clip_from_any_source_is_rejected():
    with pytest.raises(MotionError, match="clip 'sway': fps is 0"):
        MotionLibrary.build(
            G1(), [(1.0, swaying_clip(fps=50.0, name="sway")), (1.0, attrs.evolve(swaying_clip(), fps=0.0))], DT
        )


def test_no_clip_at_all_is_an_error():
    with pytest.raises(MotionError, match="at least one clip"):
        MotionLibrary.build(G1(), [], DT)


# ---- gathering


def check_held(library, atol):
    held, last = library.gather(library.held), library.gather(library.start + library.length - 1)
    for name in ("root_pos", "root_rot", "joint_pos", "contact", "body_pos", "body_rot", "projected_gravity"):
        torch.testing.assert_close(getattr(held, name), getattr(last, name), atol=atol, rtol=0)
    for name in ("root_lin_vel", "root_ang_vel", "joint_vel", "body_lin_vel", "body_ang_vel"):
        assert getattr(held, name).abs().max() == 0.0, name
        assert getattr(last, name).abs().max() > 0.0, name
    for name in ("root_lin_vel_root", "root_ang_vel_root", "body_lin_vel_root", "body_ang_vel_root"):
        assert getattr(held, name).abs().max() == 0.0, name


def test_clips_follow_one_another(library):
    assert library.names == ("even", "slow")
    assert library.start.tolist() == [0, 60]
    assert library.length.tolist() == [60, 51]
    assert library.weight.tolist() == [2.0, 1.0]
    assert library.num_frames == 111
    assert math.isclose(library.fps, 50.0)
    assert all(len(digest) == 64 for digest in library.sha256)


def test_after_its_end_a_clip_has_the_pose_of_its_last_frame_at_rest(library):
    assert library.held.tolist() == [111, 112]
    check_held(library, atol=0.0)


@pytest.mark.parametrize("shape", [(7,), (4, 5), (0,), (0, 5)])
def test_a_gather_equals_the_frames_themselves(library, shape):
    frames = torch.randint(library.num_frames, shape, generator=torch.Generator().manual_seed(1))
    motion = library.gather(frames)
    whole = library.gather(torch.arange(library.num_frames))
    for name in [*BASE, *DERIVED]:
        assert torch.equal(getattr(motion, name), getattr(whole, name)[frames]), name
    assert torch.equal(motion.contact, whole.contact[frames])


@pytest.mark.parametrize("name", DERIVED)
def test_derived_quantities_equal_their_definition(library, name):
    motion = library.gather(torch.arange(0, 111, 10).view(3, 4))
    plain = Kinematics(**{base: getattr(motion, base) for base in BASE})
    torch.testing.assert_close(getattr(motion, name), getattr(plain, name), atol=2e-6, rtol=1e-5)


def test_restricting_a_gather_equals_gathering_the_restricted_frames(library):
    frames = torch.arange(20).view(4, 5)
    motion = library.gather(frames)
    ids = torch.tensor([3, 1])
    assert torch.equal(motion.select(ids).body_pos_root, motion.body_pos_root[ids])


def test_invalidating_derived_quantities_changes_nothing(library):
    motion = library.gather(torch.arange(5))
    before = motion.body_rot_root, motion.projected_gravity
    motion.invalidate()
    torch.testing.assert_close(motion.body_rot_root, before[0])
    torch.testing.assert_close(motion.projected_gravity, before[1])


def test_a_moved_library_holds_the_same_frames(library):
    frames = torch.tensor([1, 70])
    here, there = library.gather(frames), library.to("cpu").gather(frames)
    assert torch.equal(here.body_quat_wxyz, there.body_quat_wxyz)
    assert torch.equal(here.contact, there.contact)


def test_all_tables_are_float32_and_finite(library):
    motion = library.gather(torch.arange(library.num_frames))
    for value in [motion.contact, *(getattr(motion, name) for name in BASE)]:
        assert value.dtype == torch.float32
        assert value.isfinite().all()


# ---- contact


def test_standing_feet_follow_the_thresholds_in_every_frame():
    generator = torch.Generator().manual_seed(0)
    frames, feet = 400, 2

    def spread(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    zeros = torch.zeros(frames, feet, 3)
    kinematics = Kinematics(
        root_pos=torch.zeros(frames, 3),
        root_quat_wxyz=torch.zeros(frames, 4),
        root_lin_vel=spread(frames, 3),
        root_ang_vel=torch.zeros(frames, 3),
        joint_pos=torch.zeros(frames, 1),
        joint_vel=torch.zeros(frames, 1),
        body_pos=0.2 + 0.05 * spread(frames, feet, 3),
        body_quat_wxyz=torch.zeros(frames, feet, 4),
        body_lin_vel=0.15 * spread(frames, feet, 3),
        body_ang_vel=zeros,
    )
    first = torch.zeros(frames, dtype=torch.bool)
    first[[0, 150]] = True
    found = standing_feet(kinematics, torch.arange(feet), first, ContactRule())

    for foot in range(feet):
        standing = False
        for frame in range(frames):
            normal = max(float(kinematics.root_lin_vel[frame, :2].norm()), 1.0)
            height = float(kinematics.body_pos[frame, foot, 2])
            horizontal = float(kinematics.body_lin_vel[frame, foot, :2].norm())
            vertical = abs(float(kinematics.body_lin_vel[frame, foot, 2]))
            standing = standing and not first[frame]
            if standing:
                standing = not (height > 0.25 or horizontal > 0.3 * normal or vertical > 0.25 * normal)
            else:
                standing = height < 0.18 and horizontal < 0.2 * normal and vertical < 0.15 * normal
            assert bool(found[frame, foot]) == standing
    assert 0.1 < float(found.mean()) < 0.9


def test_a_robot_standing_still_stands_on_both_feet():
    model = G1().model()
    pose = np.repeat(model.default_joint_pos.numpy()[None], 10, axis=0)
    still = swaying_clip(
        10,
        root_pos=np.repeat(model.default_root_pos.numpy()[None], 10, axis=0),
        root_quat_wxyz=np.tile(np.array([1, 0, 0, 0], np.float32), (10, 1)),
        joint_pos=pose,
    )
    motion = MotionLibrary.build(G1(), [(1.0, still)], DT).gather(torch.arange(10))
    assert motion.contact.tolist() == [[1.0, 1.0]] * 10
    assert float(motion.body_lin_vel.abs().max()) < 1e-5


def test_quaternions_of_few_decimals_are_normalised():
    clip = swaying_clip()
    rough = attrs.evolve(clip, root_quat_wxyz=np.round(clip.root_quat_wxyz, 3))
    frames = resample(rough, all_columns(clip), DT)
    vector = torch.tensor([[0.0, 0.0, 1.0]]).double().expand(40, 3)
    torch.testing.assert_close(
        quat_rotate(frames.root_quat_wxyz, vector).norm(dim=1), torch.ones(40, dtype=torch.float64), atol=1e-6, rtol=0
    )
