"""The controller in motion: alignment, ends and blends of motions, streams, limits and stops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.exported import exported_policy

from mtrack_deploy import Controller, DeployError, MotionPlayer, Policy, Sensors, StreamPlayer, Window, read_clip
from mtrack_deploy.observation import ObservationBuilder
from mtrack_deploy.rotations import quat_of_axis, quat_of_yaw, yaw_of


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    return Policy.load(exported_policy(tmp_path_factory))


@pytest.fixture(scope="module")
def clip(policy: Policy) -> Window:
    return read_clip(policy.folder, policy.contract, "sway50")


def sensors_at(clip: Window, frame: int = 0, yaw: float = 0.0) -> Sensors:
    """Return readings of a robot that is exactly on the reference, turned about the vertical axis."""
    turned = clip.moved(quat_of_yaw(yaw), np.array([3.0, -2.0, 0.0], np.float32)).frames(slice(frame, frame + 1))
    still = np.zeros(3, np.float32)
    return Sensors(turned.root_quat_wxyz[0], still, turned.joint_pos[0], turned.joint_vel[0], turned.root_pos[0], still)


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


def test_missing_and_late_frames_are_counted_and_bridged(policy: Policy, clip: Window) -> None:
    stream = StreamPlayer(policy.contract)
    with pytest.raises(DeployError, match="0 frames have arrived, but the policy needs 17"):
        stream.start(sensors_at(clip))
    for number in range(20):
        if number not in (5, 6):
            push(stream, clip, number)
    assert stream.missing == 2
    stream.start(sensors_at(clip))
    for _ in range(6):
        stream.advance()
    between = (2 * clip.joint_pos[7] + clip.joint_pos[4]) / 3  # frame 6
    assert np.allclose(stream.window().joint_pos[0], between, atol=1e-5)
    assert stream.late == 3, "frames 20, 21 and 22 have not arrived"
    for _ in range(40):
        stream.advance()
    window = stream.window()
    assert np.allclose(window.joint_pos, clip.joint_pos[19], atol=1e-6)
    push(stream, clip, 20, with_velocity=False)
    stream.advance()
    expected = (clip.joint_pos[20] - clip.joint_pos[19]) * 50.0
    assert np.allclose(stream.window().joint_vel[0], expected, atol=1e-4)


def started(policy: Policy, clip: Window) -> tuple[Controller, Sensors]:
    player = MotionPlayer(policy.contract)
    sensors = sensors_at(clip)
    player.start(clip, sensors)
    controller = Controller(policy, player)
    controller.start(sensors)
    return controller, sensors


def test_a_reading_that_is_not_finite_stops_into_damping(policy: Policy, clip: Window) -> None:
    controller, sensors = started(policy, clip)
    controller.step(sensors)
    assert controller.command(sensors).stiffness.min() > 0.0
    broken = replace(sensors, joint_vel=np.full(29, np.nan, np.float32))
    controller.step(broken)
    command = controller.command(sensors)
    assert "joint_vel is not finite" in controller.stopped
    assert not command.stiffness.any()
    assert (command.damping == policy.contract.safety.damping_kd).all()
    controller.step(sensors)
    assert not controller.command(sensors).stiffness.any(), "it stays stopped"
    controller.start(sensors)
    controller.step(sensors)
    assert controller.command(sensors).stiffness.all(), "until it is started again"


def test_tilt_stops(policy: Policy, clip: Window) -> None:
    controller, sensors = started(policy, clip)
    axis = np.array([1.0, 0.0, 0.0])
    for angle in (0.9, 1.1):
        tilted = replace(sensors, root_quat_wxyz=quat_of_axis(axis, angle))
        controller.step(tilted)
        controller.command(tilted)
    assert "tilted by 1.1" in controller.stopped


def test_targets_stay_within_range_torque_and_speed(policy: Policy, clip: Window) -> None:
    controller, sensors = started(policy, clip)
    contract, safety = policy.contract, controller.safety
    before = sensors.joint_pos
    for _ in range(400):
        command = safety.limit(np.full(29, 50.0, np.float32), sensors)
        torque = command.stiffness * (command.target - sensors.joint_pos) - command.damping * sensors.joint_vel
        for joint, target, asked in zip(contract.robot.joints, command.target, torque, strict=True):
            assert target <= joint.upper + contract.safety.target_margin_rad + 1e-6
            assert abs(asked) <= contract.safety.torque_share * joint.effort_limit * 1.0001
        step = contract.safety.slew_rad_s * contract.timing.physics_dt
        assert (command.target - before).max() <= step + 1e-6
        before = command.target
    assert set(safety.counts) == {"slew", "range", "torque"}


def test_yaw() -> None:
    tilted = quat_of_axis(np.array([0.0, 1.0, 0.0]), 0.4)
    assert yaw_of(quat_of_yaw(2.0)) == pytest.approx(2.0)
    assert yaw_of(tilted) == pytest.approx(0.0, abs=1e-6)
