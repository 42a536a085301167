"""The built-in clips are what a G1 can do: balanced, feet planted, within limits, smooth, at rest at both ends."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
from clip_replay import FEET, inside

from mtrack_g1.robot import G1
from mtrack_procedural.kinds import CLIPS

QUIET = ("stand", "squat", "reach", "sway", "step_in_place", "wave", "bow")
WALKS = tuple(name for name, clip in CLIPS.items() if clip.kind == "walk")


def test_a_clip_lasts_some_seconds(replay):
    assert (len(replay.clip.joint_pos) - 1) / replay.clip.fps >= 5.0


def test_joints_stay_away_from_their_limits(replay, g1):
    low, high = g1.joint_range.numpy().T
    assert np.all(np.abs(replay.clip.joint_pos - (low + high) / 2) < 0.95 * (high - low) / 2)


def test_joints_turn_at_under_half_of_their_speed_limit_and_quiet_ones_at_a_fifth(replay, g1):
    share = 0.2 if replay.clip.name in QUIET else 0.5
    assert np.all(np.abs(replay.velocity[:, 6:]) < share * g1.velocity_limit.numpy())


def test_the_lower_sole_lies_on_the_floor(replay):
    lowest = replay.corners[..., 2].min((1, 2))
    assert np.abs(lowest).max() < 5e-4


def test_feet_on_the_floor_do_not_slide(replay):
    """Neither a flat sole nor the toes or heel it turns about: under 2 mm/s."""
    stays = replay.grounded[1:] & replay.grounded[:-1]
    speed = np.linalg.norm(np.diff(replay.corners[..., :2], axis=0), axis=-1) * replay.clip.fps
    assert speed[stays].max() < 2e-3


def test_a_foot_is_flat_on_the_floor_at_all_times(replay):
    assert replay.stance.any(1).all()


def test_only_steps_walks_kicks_and_kneeling_lift_feet(replays):
    lifted = {name for name, replay in replays.items() if not replay.stance.all()}
    assert lifted == set(CLIPS) - {"stand", "squat", "reach", "sway", "wave", "bow"}


def test_the_zero_moment_point_stays_35_mm_inside_the_soles_and_18_mm_where_a_foot_lifts(replay):
    assert replay.margins.min() > (0.035 if replay.stance.all() else 0.018)


def test_the_floor_carries_the_robot_at_all_times(replay):
    acceleration = np.diff(replay.com[:, 2], 2) * replay.clip.fps**2
    assert np.abs(acceleration).max() < (4.0 if replay.clip.name in WALKS else 1.5)


def test_a_clip_begins_and_ends_in_the_default_pose(replay, g1):
    """Somewhere on the floor, and turned about the vertical if it is a walk."""
    default = g1.default_joint_pos.numpy()
    for frame in (0, -1):
        assert np.abs(replay.clip.joint_pos[frame] - default).max() < 0.02
        assert replay.clip.root_pos[frame, 2] == pytest.approx(float(g1.default_root_pos[2]), abs=0.005)
        assert replay.clip.root_quat_wxyz[frame, 1:3] == pytest.approx([0, 0], abs=1e-6)
    assert np.abs(replay.clip.root_pos[0] - g1.default_root_pos.numpy()).max() < 0.005
    if replay.clip.name not in WALKS:
        assert np.abs(replay.clip.root_pos[-1] - g1.default_root_pos.numpy()).max() < 0.005


def test_a_clip_begins_and_ends_at_rest(replay):
    assert np.abs(replay.velocity[[0, -1]]).max() < 0.002


def test_clips_are_smooth(replay):
    joints = replay.velocity[:, 6:]
    acceleration = np.diff(joints, axis=0) * replay.clip.fps
    most = 320 if replay.clip.name in WALKS else 40
    assert np.abs(acceleration).max() < most
    assert np.abs(np.diff(acceleration, axis=0)).max() < 0.7 * most


def test_the_robot_does_not_hit_itself(replay):
    model, data = replay.model, mujoco.MjData(replay.model)
    floor = {geom for geom in range(model.ngeom) if model.geom_bodyid[geom] == 0}
    for qpos in replay.qpos[::2]:
        data.qpos[:] = qpos
        mujoco.mj_fwdPosition(model, data)
        assert all(floor & set(contact.geom.tolist()) for contact in data.contact)


@pytest.mark.parametrize("name", ["walk_fast", "walk_curve_left", "walk_backward", "sidestep_right", "kick_left"])
def test_motors_and_friction_suffice_on_one_foot(name, replays, g1):
    """Torques within their limits, friction under 0.45; the foot that stands takes the whole wrench."""
    replay = replays[name]
    model, data = replay.model, mujoco.MjData(replay.model)
    wrench, carried = replay.root_wrench, 0
    for frame in np.flatnonzero(replay.grounded.any(-1).sum(1) == 1)[1:-1]:
        force = wrench(data, frame)
        foot = model.body(FEET[int(replay.grounded[frame].any(-1).argmax())]).id
        jacobian = np.zeros((6, model.nv))
        mujoco.mj_jac(model, data, jacobian[:3], jacobian[3:], data.xpos[foot], foot)
        contact = np.linalg.solve(jacobian[:, :6].T, force[:6])
        assert np.all(np.abs(force - jacobian.T @ contact)[6:] < g1.effort_limit.numpy())
        assert np.hypot(*contact[:2]) < 0.45 * contact[2]
        carried += 1
    assert carried > 20


@pytest.mark.parametrize("name", ["stand", "squat", "reach", "sway", "wave", "bow"])
def test_stiff_motors_replay_a_clip_without_feedback(name, replays):
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
