"""What the controller follows: alignment with the robot, ends and blends of motions, and streams of frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.on_reference import sensors_at

from mtrack_deploy import DeployError, MotionPlayer, Policy, StreamPlayer, Window, read_clip
from mtrack_deploy.observation import ObservationBuilder
from mtrack_deploy.rotations import quat_of_axis, quat_of_yaw, yaw_of


def test_observations_do_not_depend_on_heading_and_place(policy: Policy, clip: Window) -> None:
    seen = []
    for yaw in (0.0, 2.5):
        builder, player = ObservationBuilder(policy.contract), MotionPlayer(policy.contract)
        player.start(clip, sensors_at(clip, 0, yaw))
        for frame in range(20):
            observation = builder.observe(sensors_at(clip, frame, yaw), player.window())
            player.advance()
        seen.append(observation)
    assert np.abs(seen[0] - seen[1]).max() < 2e-5
    term = next(term for term in policy.contract.observation.terms if term.name == "root_rot")
    identity = np.array([1, 0, 0, 0, 1, 0], np.float32)
    assert np.abs(seen[0][term.start : term.start + 6] - identity).max() < 2e-5, "the robot faces as its reference does"


def test_after_its_end_a_clip_is_held_at_rest(policy: Policy, clip: Window) -> None:
    player = MotionPlayer(policy.contract, "hold")
    player.start(clip, sensors_at(clip))
    for _ in range(len(clip) + 30):
        player.advance()
    window = player.window()
    assert player.is_finished
    assert np.array_equal(window.joint_pos, np.broadcast_to(clip.joint_pos[-1], window.joint_pos.shape))
    assert not window.joint_vel.any()


def test_the_window_is_that_of_training_near_the_end(policy: Policy, clip: Window) -> None:
    player = MotionPlayer(policy.contract, "hold")
    player.start(clip, sensors_at(clip))
    for _ in range(len(clip) - 5):
        player.advance()
    window = player.window()  # offsets 0, 2, 4, 8, 16: the last two frames are after the end
    assert np.array_equal(window.joint_vel[:3], clip.joint_vel[[len(clip) - 5, len(clip) - 3, len(clip) - 1]])
    assert not window.joint_vel[3:].any()


def test_a_switch_at_the_end_starts_at_rest_from_what_is_shown(policy: Policy, clip: Window) -> None:
    moving = replace(clip, joint_vel=clip.joint_vel + np.float32(1.0))  # cut in the middle of a movement
    for frames in (len(clip) + 20, len(clip) - 10):
        player = MotionPlayer(policy.contract, "hold")
        player.start(moving, sensors_at(clip))
        for _ in range(frames):
            player.advance()
        before = player.window()
        player.switch(clip)
        after = player.window()
        assert np.array_equal(before.joint_pos, after.joint_pos)
        assert np.array_equal(before.joint_vel, after.joint_vel)
        player.advance()
        step = np.abs(player.window().joint_pos[0] - after.joint_pos[0]).max()
        assert step < 0.05


@pytest.mark.parametrize("at_end", ["hold", "stand"])
def test_a_blend_has_no_jumps(policy: Policy, clip: Window, at_end: str) -> None:
    player = MotionPlayer(policy.contract, at_end)
    player.start(clip, sensors_at(clip))
    for _ in range(10):
        player.advance()
    player.switch(read_clip(policy.folder, policy.contract, "sway30"))
    frames = []
    for _ in range(400):
        frames.append(player.window().frames(slice(0, 1)))
        player.advance()
    played = Window.joined(frames)
    rate = policy.contract.reference.rate_hz
    fastest = max(float(np.abs(clip.joint_vel).max()), 1.0)
    assert np.abs(np.diff(played.joint_pos, axis=0)).max() * rate < 1.5 * fastest
    assert np.linalg.norm(np.diff(played.root_pos, axis=0), axis=1).max() * rate < 1.0
    # the velocities belong to the positions
    differences = 0.5 * (played.joint_pos[2:] - played.joint_pos[:-2]) * rate
    within = slice(0, 100)  # the blend, before the end of the next clip
    assert np.abs(differences - played.joint_vel[1:-1])[within].max() < 0.1 * fastest
    assert np.allclose(np.linalg.norm(played.root_quat_wxyz, axis=1), 1.0, atol=1e-5)
    if at_end == "stand":
        default = [joint.default_pos for joint in policy.contract.robot.joints]
        assert np.allclose(played.joint_pos[-1], default, atol=1e-6)
        assert played.root_pos[-1, 2] == pytest.approx(policy.contract.robot.root_height)


def push(stream: StreamPlayer, clip: Window, number: int, *, with_velocity: bool = True) -> None:
    velocity = clip.joint_vel[number] if with_velocity else None
    stream.push(
        number,
        root_pos=clip.root_pos[number],
        root_quat_wxyz=clip.root_quat_wxyz[number],
        joint_pos=clip.joint_pos[number],
        joint_vel=velocity,
    )


def test_a_stream_in_time_is_the_clip(policy: Policy, clip: Window) -> None:
    stream, player = StreamPlayer(policy.contract), MotionPlayer(policy.contract)
    for number in range(stream.latency + 1):
        assert not stream.is_ready
        push(stream, clip, number)
    stream.start(sensors_at(clip))
    player.start(clip, sensors_at(clip))
    for number in range(stream.latency + 1, len(clip)):
        ours, theirs = stream.window(), player.window()
        for name in ("root_pos", "root_quat_wxyz", "joint_pos", "joint_vel"):
            assert np.allclose(getattr(ours, name), getattr(theirs, name), atol=1e-5)
        push(stream, clip, number)
        stream.advance()
        player.advance()
    assert (stream.missing, stream.late) == (0, 0)


def test_missing_frames_are_interpolated_and_late_ones_waited_for(policy: Policy, clip: Window) -> None:
    stream = StreamPlayer(policy.contract)
    with pytest.raises(DeployError, match="0 frames have arrived, but the policy needs 17"):
        stream.start(sensors_at(clip))
    with pytest.raises(DeployError, match="not been started"):
        stream.window()
    for number in range(20):
        if number not in (10, 11):
            push(stream, clip, number)
    assert stream.missing == 2
    stream.start(sensors_at(clip))
    assert np.allclose(stream.window().joint_pos[0], clip.joint_pos[3], atol=1e-6), "17 frames up to the newest"
    between = (2 * clip.joint_pos[12] + clip.joint_pos[9]) / 3  # frame 11, eight frames ahead
    assert np.allclose(stream.window().joint_pos[3], between, atol=1e-5)
    for _ in range(10):
        stream.advance()
    window = stream.window()
    assert (stream.late, stream.skipped) == (10, 0)
    assert np.allclose(window.joint_pos[0], clip.joint_pos[3], atol=1e-6), "held"
    assert not window.joint_vel.any(), "at rest"
    for number in range(20, 40):  # it is 20 frames behind now: more than 0.2 s
        push(stream, clip, number)
    frames = []
    for _ in range(12):
        stream.advance()
        frames.append(stream.window().joint_pos[0])
    assert stream.skipped == 5
    assert stream.late == 10
    assert np.allclose(frames[0], clip.joint_pos[5], atol=1e-6)
    assert np.allclose(frames[-1], clip.joint_pos[3 + 12 + 5], atol=1e-6)


def test_velocities_of_a_stream_follow_from_its_positions(policy: Policy, clip: Window) -> None:
    stream = StreamPlayer(policy.contract)
    for number in range(17):
        push(stream, clip, number, with_velocity=False)
    stream.start(sensors_at(clip))
    expected = (clip.joint_pos[16] - clip.joint_pos[15]) * 50.0
    assert np.allclose(stream.window().joint_vel[-1], expected, atol=1e-4)


def test_a_stream_refuses_what_it_cannot_follow(policy: Policy, clip: Window) -> None:
    stream = StreamPlayer(policy.contract)
    push(stream, clip, 10)
    push(stream, clip, 9)
    assert stream.stale == 1
    frame = {"root_pos": clip.root_pos[0], "root_quat_wxyz": clip.root_quat_wxyz[0], "joint_pos": clip.joint_pos[0]}
    with pytest.raises(DeployError, match="frame 61 follows frame 10"):
        stream.push(61, **frame)
    with pytest.raises(DeployError, match="not a unit quaternion"):
        stream.push(11, **(frame | {"root_quat_wxyz": 3 * clip.root_quat_wxyz[0]}))
    with pytest.raises(DeployError, match="joint_pos must be 29 finite numbers"):
        stream.push(11, **(frame | {"joint_pos": clip.joint_pos[0, :28]}))


def test_yaw() -> None:
    tilted = quat_of_axis(np.array([0.0, 1.0, 0.0]), 0.4)
    assert yaw_of(quat_of_yaw(2.0)) == pytest.approx(2.0)
    assert yaw_of(tilted) == pytest.approx(0.0, abs=1e-6)
