"""The built-in clips are what a G1 can do: balanced, feet planted, within limits, smooth, at rest at both ends."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
from clip_replay import inside

from mtrack_g1.robot import G1


def test_a_clip_lasts_at_least_five_seconds(replay):
    assert (len(replay.clip.joint_pos) - 1) / replay.clip.fps >= 5.0


def test_joints_keep_clear_of_the_ends_of_their_ranges(replay, g1):
    low, high = g1.joint_range.numpy().T
    assert np.all(np.abs(replay.clip.joint_pos - (low + high) / 2) < 0.95 * (high - low) / 2)


def test_joints_turn_at_under_a_fifth_of_their_speed_limit(replay, g1):
    assert np.all(np.abs(replay.velocity[:, 6:]) < 0.2 * g1.velocity_limit.numpy())


def test_a_standing_sole_lies_flat_on_the_floor(replay):
    assert np.abs(replay.corners[..., 2][replay.stance]).max() < 5e-4


def test_no_sole_goes_through_the_floor(replay):
    assert replay.corners[..., 2].min() > -5e-4


def test_a_standing_foot_does_not_slide(replay):
    at_start = replay.corners[0]
    for foot in range(2):
        drift = replay.corners[replay.stance[:, foot], foot] - at_start[foot]
        assert np.abs(drift[..., :2]).max() < 5e-4


def test_only_stepping_lifts_feet(replays):
    lifted = {name for name, replay in replays.items() if not replay.stance.all()}
    assert lifted == {"step_in_place"}


def test_stepping_lifts_each_foot_and_always_stands_on_one(replays):
    replay = replays["step_in_place"]
    assert replay.stance.any(1).all()
    heights = replay.corners[..., 2].min(-1).max(0)
    assert np.all((heights > 0.03) & (heights < 0.05))


def test_the_zero_moment_point_stays_35_mm_inside_the_soles_and_18_mm_where_one_foot_lifts(replay):
    soles = [replay.corners[frame][stance].reshape(-1, 3)[:, :2] for frame, stance in enumerate(replay.stance)]
    margins = np.array([inside(zmp, sole) for zmp, sole in zip(replay.zmp(), soles[1:-1], strict=True)])
    assert margins.min() > (0.035 if replay.stance.all() else 0.018)


def test_the_floor_carries_the_robot_at_all_times(replay):
    acceleration = np.diff(replay.com[:, 2], 2) * replay.clip.fps**2
    assert np.abs(acceleration).max() < 1.5


def test_a_clip_begins_and_ends_in_the_default_pose(replay, g1):
    default = g1.default_joint_pos.numpy()
    for frame in (0, -1):
        assert np.abs(replay.clip.joint_pos[frame] - default).max() < 0.02
        assert np.abs(replay.clip.root_pos[frame] - g1.default_root_pos.numpy()).max() < 0.005
        assert replay.clip.root_quat_wxyz[frame] == pytest.approx([1, 0, 0, 0], abs=1e-6)


def test_a_clip_begins_and_ends_at_rest(replay):
    assert np.abs(replay.velocity[[0, -1]]).max() < 0.002


def test_nothing_jumps(replay):
    joints = replay.velocity[:, 6:]
    acceleration = np.diff(joints, axis=0) * replay.clip.fps
    assert np.abs(acceleration).max() < 30
    assert np.abs(np.diff(acceleration, axis=0)).max() < 8


def test_the_robot_does_not_hit_itself(replay):
    model, data = replay.model, mujoco.MjData(replay.model)
    floor = {geom for geom in range(model.ngeom) if model.geom_bodyid[geom] == 0}
    for qpos in replay.qpos[::2]:
        data.qpos[:] = qpos
        mujoco.mj_fwdPosition(model, data)
        assert all(floor & set(contact.geom.tolist()) for contact in data.contact)


def test_squats_and_swings_are_as_large_as_asked(replays):
    squat, sway = replays["squat"], replays["sway"]
    assert np.ptp(squat.qpos[:, 2]) == pytest.approx(0.2, rel=0.11)
    assert np.abs(sway.com[:, 1]).max() == pytest.approx(0.055, rel=0.15)


@pytest.mark.parametrize("name", ["stand", "squat", "reach", "sway"])
def test_stiff_motors_carry_out_a_clip_without_feedback(name, replays):
    clip = replays[name].clip
    model = G1().spec().compile()
    model.actuator_gainprm[:, 0] *= 10
    model.actuator_biasprm[:, 1] *= 10
    model.actuator_biasprm[:, 2] *= np.sqrt(10)
    data = mujoco.MjData(model)
    data.qpos[:] = replays[name].qpos[0]
    substeps = round(1 / clip.fps / model.opt.timestep)
    for now, then in zip(clip.joint_pos[:-1], clip.joint_pos[1:], strict=True):
        for substep in range(substeps):
            data.ctrl[:] = now + (then - now) * (substep + 1) / substeps
            mujoco.mj_step(model, data)
    assert np.linalg.norm(data.qpos[:3] - clip.root_pos[-1]) < 0.1


def test_the_hull_distance_used_here_is_right():
    square = np.array([[0.0, 0.0], [0.0, 2.0], [2.0, 0.0], [2.0, 2.0], [1.0, 1.0]])
    assert inside(np.array([0.5, 1.0]), square) == pytest.approx(0.5)
    assert inside(np.array([3.0, 1.0]), square) == pytest.approx(-1.0)
