"""Each kind of motion matches its name and parameters."""

from __future__ import annotations

import numpy as np
import pytest
from clip_replay import Replay

from mtrack_procedural.kinds import CLIPS
from mtrack_procedural.source import Procedural


def made(g1, kind, **parameters) -> Replay:
    """Return one clip without random variation."""
    (clip,) = Procedural(motions=(kind,), spread=0.0, **parameters).clips(g1)
    return Replay(clip)


def heading(replay):
    """Return the heading of the root, [T] rad."""
    w, _, _, z = replay.clip.root_quat_wxyz.T
    return np.unwrap(2 * np.arctan2(z, w))


def mean_rate(values, start, end):
    """Return the mean rate of change between two times, /s, at 50 frames per second."""
    return (values[round(50 * end)] - values[round(50 * start)]) / (end - start)


@pytest.mark.parametrize("speed", [-0.4, -0.15, 0.2, 0.6, 0.8])
def test_a_walk_goes_as_fast_as_asked(speed, g1):
    replay = made(g1, "walk", walk_speed=speed)
    assert mean_rate(replay.com[:, 0], 3.0, 5.0) == pytest.approx(speed, rel=0.02)
    assert np.abs(replay.com[120:260, 1]).max() < 0.05
    assert replay.margins.min() > 0.018


@pytest.mark.parametrize("sideways", [-0.12, 0.1])
def test_a_side_step_goes_sideways_and_the_feet_never_come_closer_than_at_rest(sideways, g1):
    replay = made(g1, "walk", walk_speed=0.0, walk_sideways=sideways, walk_period=0.4)
    assert mean_rate(replay.com[:, 1], 2.9, 5.3) == pytest.approx(sideways, rel=0.03)
    apart = replay.corners[:, 0, :, 1].mean(-1) - replay.corners[:, 1, :, 1].mean(-1)
    assert apart.min() == pytest.approx(apart[0], abs=1e-4)


@pytest.mark.parametrize("turn", [-0.9, 0.4, 1.2])
def test_a_turn_on_the_spot_turns_as_fast_as_asked_and_stays_there(turn, g1):
    replay = made(g1, "walk", walk_speed=0.0, walk_turn=turn)
    assert mean_rate(heading(replay), 2.3, 5.3) == pytest.approx(turn, rel=0.03)
    assert np.abs(replay.clip.root_pos[:, :2]).max() < 0.1
    assert np.abs(replay.clip.root_pos[-1, :2] - replay.clip.root_pos[0, :2]).max() < 0.03


def test_a_walk_in_a_curve_follows_a_circle(g1):
    replay = made(g1, "walk", walk_speed=0.5, walk_turn=0.5, walk_duration=9.0)
    course = np.stack([np.convolve(replay.com[:, axis], np.full(50, 1 / 50), mode="valid") for axis in range(2)], 1)
    centre, radius = np.array([0.0, 1.0]), 1.0
    steady = course[150:-150]
    assert np.linalg.norm(steady - centre, axis=1) == pytest.approx(radius, abs=0.06)


def test_a_walk_has_as_many_steps_as_its_time_allows(g1):
    replay = made(g1, "walk", walk_duration=5.0, walk_period=0.5)
    landings = (~replay.grounded.any(-1)[:-1] & replay.grounded.any(-1)[1:]).sum()
    assert landings == 10


def test_in_a_walk_arms_swing_against_the_legs(replays, g1):
    replay = replays["walk"]
    ahead = replay.corners[:, 0, 0, 0] - replay.corners[:, 1, 0, 0]
    left = replay.clip.joint_pos[:, g1.joint_names.index("left_shoulder_pitch_joint")]
    assert np.corrcoef(ahead[150:300], left[150:300])[0, 1] > 0.9  # a positive angle takes the arm back


def test_in_a_walk_the_heel_behind_rises_before_the_toes_leave(replays):
    grounded = replays["walk"].grounded[..., [0, 2]]  # a corner at the toes, and one at the heel
    assert (grounded[..., 0] & ~grounded[..., 1]).sum() >= 10


@pytest.mark.parametrize("side", [0, 1])
def test_a_kick_brings_the_foot_as_far_and_high_as_asked(side, g1):
    name = ("left", "right")[side]
    replay = made(g1, "kick", kick_count=1, side=name, kick_height=0.3, kick_distance=0.4)
    ankle = replay.corners[:, side].mean(1)
    farthest = int(ankle[:, 0].argmax())
    assert ankle[farthest, 0] - ankle[0, 0] == pytest.approx(0.4, abs=0.02)
    assert ankle[farthest, 2] == pytest.approx(0.3, abs=0.04)
    assert ankle[:farthest, 0].min() < ankle[0, 0] - 0.05, "it swings back first"
    assert replay.stance[:, 1 - side].all()


def test_half_kneeling_puts_one_knee_on_the_floor_and_holds_it_there(replays, g1):
    for side, name in enumerate(("half_kneel_left", "half_kneel_right")):
        replay = replays[name]
        knee = replay.knees[:, side, 2]
        assert knee.min() > -0.002
        assert (knee < 0.002).sum() > 45, "a second"
        assert replay.stance[:, 1 - side].all(), "the other sole stays flat"
        assert replay.clip.root_pos[:, 2].min() < 0.5


def test_a_knee_stops_as_high_over_the_floor_as_asked(g1):
    replay = made(g1, "half_kneel", kneel_height=0.1, side="left")
    assert replay.knees[:, 0, 2].min() == pytest.approx(0.1, abs=0.003)


def test_a_bow_leans_the_trunk_as_far_as_asked(g1):
    replay = made(g1, "bow", bow_depth=0.5)
    waist = replay.clip.joint_pos[:, g1.joint_names.index("waist_pitch_joint")]
    pelvis = 2 * np.arcsin(replay.clip.root_quat_wxyz[:, 2])
    assert (waist + pelvis).max() == pytest.approx(0.5, abs=0.01)


def test_a_wave_raises_one_arm_and_swings_it_as_often_as_asked(g1):
    replay = made(g1, "wave", wave_count=5, side="right")
    elbow = replay.clip.joint_pos[:, g1.joint_names.index("right_elbow_joint")]
    raised = elbow[150:-150] - np.median(elbow[150:-150])
    assert (np.diff(np.sign(raised)) > 0).sum() in (3, 4, 5)
    assert np.ptp(replay.clip.joint_pos[:, g1.joint_names.index("left_elbow_joint")]) == 0


def test_squats_and_swings_are_as_large_as_asked(replays):
    squat, sway = replays["squat"], replays["sway"]
    assert np.ptp(squat.qpos[:, 2]) == pytest.approx(0.2, rel=0.11)
    assert np.abs(sway.com[:, 1]).max() == pytest.approx(0.055, rel=0.15)


def test_stepping_lifts_each_foot_as_high_as_asked(replays):
    heights = replays["step_in_place"].corners[..., 2].min(-1).max(0)
    assert np.all((heights > 0.03) & (heights < 0.05))


def test_the_library_walks_forward_backward_sideways_and_turning_at_several_speeds():
    walks = [clip.parameters for clip in CLIPS.values() if clip.kind == "walk"]
    assert len({walk.get("speed", 0.6) for walk in walks if walk.get("speed", 0.6) > 0}) >= 3
    assert len({walk["speed"] for walk in walks if walk.get("speed", 0.6) < 0}) >= 2
    assert len({walk["sideways"] for walk in walks if "sideways" in walk}) >= 4
    assert len({walk["turn"] for walk in walks if "turn" in walk}) >= 4
    assert {clip.kind for clip in CLIPS.values()} == {
        *("stand", "squat", "reach", "wave", "bow", "sway", "step_in_place", "walk", "kick", "half_kneel")
    }
