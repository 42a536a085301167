"""The command: drawn clips and frames, the published reference, and resuming."""

from __future__ import annotations

import pytest
import torch
from support.following import following, start, step

from mtrack import RecipeError
from mtrack.loop.state import component_state, load_component_state
from mtrack.math import quat_from_rotation_vector, quat_multiply
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.registry.registry import Registry
from mtrack_tracking.command import MotionTracking
from mtrack_tracking.errors import root_target


def test_a_reference_is_published_from_the_start():
    _, scene = following()
    assert scene.reference.joint_pos.shape == (8, 29)
    assert scene.reference.future.body_pos.shape == (8, 5, len(scene.model.body_names), 3)
    assert torch.equal(root_target(scene), scene.reference.root_pos)


def test_the_future_shows_the_given_frames_ahead_and_the_last_frame_after_the_end():
    command, scene = following((120,))
    command.pin_clips(torch.zeros(8))
    start(command)
    for _ in range(110):
        step(command, scene)
    x = scene.reference.future.root_pos[0, :, 0]
    torch.testing.assert_close(x, 0.01 * torch.tensor([110.0, 112, 114, 118, 119]))


def test_slot_0_of_the_future_is_the_present_frame():
    command, scene = following()
    start(command)
    step(command, scene)
    reference, future = scene.reference, scene.reference.future
    for name in ("root_pos", "joint_vel", "body_pos", "body_lin_vel", "root_rot", "body_rot_root", "body_ang_vel_root"):
        torch.testing.assert_close(getattr(reference, name), getattr(future, name)[:, 0])


def test_a_restricted_reference_equals_the_whole_one_and_may_be_empty():
    command, scene = following()
    start(command)
    some = scene.select(torch.tensor([5, 2])).reference
    assert torch.equal(some.future.body_pos_root, scene.reference.future.body_pos_root[[5, 2]])
    assert torch.equal(some.contact, scene.reference.contact[[5, 2]])
    empty = scene.select(torch.tensor([], dtype=torch.int64)).reference
    assert empty.future.body_rot_root.shape[:2] == (0, 5)
    assert empty.body_pos.shape[0] == 0


def test_a_reset_changes_the_reference_of_the_given_environments_only():
    command, scene = following((400,), start_noise=0.0)
    start(command)
    step(command, scene)
    before, before_ahead = scene.reference.body_pos_root.clone(), scene.reference.future.root_pos.clone()
    start(command, torch.tensor([1, 4]))
    same = torch.tensor([0, 2, 3, 5, 6, 7])
    assert torch.equal(scene.reference.body_pos_root[same], before[same])
    assert torch.equal(scene.reference.future.root_pos[same], before_ahead[same])
    assert not torch.equal(scene.reference.future.root_pos[[1, 4]], before_ahead[[1, 4]])


AT_REST = ("root_lin_vel", "root_ang_vel", "joint_vel", "body_lin_vel", "body_ang_vel", "root_lin_vel_root")


def test_the_reference_is_at_rest_after_the_end_of_a_clip_and_not_before():
    command, scene = following((120, 130))
    command.pin_clips(torch.tensor([0, 1] * 4))
    start(command)
    command.frame.copy_(
        torch.tensor([111, 121] * 4)
    )  # 8 before the end: of 0, 2, 4, 8, 16 ahead only the last is beyond
    command.publish()
    future = scene.reference.future
    whole = command.library.gather(scene.reference.frames)
    last = command.library.gather((command.library.start + command.library.length - 1)[command.clip])
    for name in AT_REST:
        assert getattr(future, name)[:, 4].abs().max() == 0.0, name
        assert torch.equal(getattr(future, name)[:, 3], getattr(last, name)), name
        assert getattr(last, name).abs().amax(-1).min() > 0.0 or name.startswith("body"), name
    for name in ("root_pos", "joint_pos", "body_pos"):
        assert torch.equal(getattr(future, name)[:, 4], getattr(last, name)), name
    assert torch.equal(whole.root_pos, future.root_pos)


@pytest.mark.parametrize("target", ["absolute", "sliding"])
def test_an_environment_that_is_not_reset_at_the_end_of_its_clip_has_a_reference_at_rest(target):
    command, scene = following((120, 130), root_target=target, sampling="failure_aware")
    command.pin_clips(torch.tensor([0, 1] * 4))
    start(command)
    for _ in range(119):
        step(command, scene)
    reached = {name: getattr(scene.reference, name).clone() for name in (*AT_REST, "body_pos")}
    assert reached["joint_vel"][::2].abs().amax(1).min() > 0.0  # the last frame is still part of the motion
    for _ in range(30):
        step(command, scene)
        for name in AT_REST:
            assert getattr(scene.reference, name)[::2].abs().max() == 0.0, name
    assert torch.equal(scene.reference.body_pos[::2], reached["body_pos"][::2])
    assert command.finished().all()
    start(command, failed=True)  # counts for the bins of its own clip
    assert command.failures.nonzero().squeeze(1).tolist() == [2, 5]
    assert command.coverage.visits.cumsum(0)[-1] == 0.0


def test_an_environment_is_finished_at_the_last_frame_of_its_clip_and_stays_there():
    command, scene = following((120, 130))
    command.pin_clips(torch.tensor([0, 1] * 4))
    start(command)
    for _ in range(119):
        assert not command.finished().any()
        step(command, scene)
    assert command.finished().tolist() == [True, False] * 4
    for _ in range(20):
        step(command, scene)
    assert command.finished().all()
    assert torch.equal(scene.reference.root_pos, command.library.gather(command.library.held[command.clip]).root_pos)


def test_a_failed_environment_starts_shortly_before_the_failure_four_times_in_five():
    command, _ = following(num_envs=2000)
    ids = torch.arange(2000)
    start(command, ids)
    command.clip.fill_(1)
    command.frame.fill_(350)
    start(command, ids, failed=True)
    again = (command.clip == 1) & (command.frame >= 275) & (command.frame <= 325)
    back = 350 - command.frame[again]
    assert back.min() == 25
    assert back.max() == 75
    # by chance a fresh draw may fall in that range too: (0.2 of the environments) * (400 / 520) * (26 / 301)
    assert again.float().mean() == pytest.approx(0.813, abs=0.03)


def test_an_environment_that_did_not_fail_draws_a_new_clip_and_frame():
    command, _ = following(num_envs=2000)
    start(command, torch.arange(2000))
    clips, frames = command.clip.clone(), command.frame.clone()
    start(command, torch.arange(2000))
    assert (command.clip != clips).float().mean() == pytest.approx(2 * (120 / 520) * (400 / 520), abs=0.04)
    assert (command.frame != frames).float().mean() > 0.9
    assert command.frame[command.clip == 0].max() == 20
    assert 290 < command.frame[command.clip == 1].max() <= 300


def test_after_an_early_failure_an_environment_restarts_at_the_beginning():
    command, _ = following(restart_probability=1.0)
    start(command)
    command.frame.fill_(10)
    start(command, failed=True)
    assert torch.equal(command.frame, torch.zeros(8, dtype=torch.int64))


def test_pinned_environments_always_start_their_clip_at_frame_0():
    command, scene = following()
    clips = torch.tensor([0, 1, 1, 0, 1, 0, 0, 1])
    command.pin_clips(clips)
    for failed in (False, True):
        start(command, failed=failed)
        assert torch.equal(command.clip, clips)
        assert not command.frame.any()
        step(command, scene)


def test_pinned_environments_start_at_their_frames_and_the_command_says_what_they_play():
    command, scene = following(start_noise=0.0)
    clips, frames = torch.tensor([0, 1, 1, 0, 1, 0, 0, 1]), torch.tensor([119, 399, 7, 0, 200, 3, 118, 50])
    command.pin_clips(clips, frames)
    state = start(command)
    assert torch.equal(
        state.root_pos, command.library.gather(command.library.rows(clips, frames[:, None])[:, 0]).root_pos
    )
    step(command, scene)
    step(command, scene)
    playing = command.playing()
    assert torch.equal(playing[0], clips)
    assert playing[1].tolist() == [120, 400, 9, 2, 202, 5, 120, 52], "a clip's length at its end"
    step(command, scene)
    assert playing[1][2] == 9, "a copy"


@pytest.mark.parametrize(
    ("clip", "frame", "message"),
    [(2, 0, "2 clips.*no clip 2"), (0, 120, "walk.* has 120 frames; it has no frame 120"), (1, -1, "no frame -1")],
)
def test_a_clip_or_frame_that_does_not_exist_cannot_be_pinned(clip, frame, message):
    command, _ = following()
    with pytest.raises(ValueError, match=message):
        command.pin_clips(torch.full((8,), clip), torch.full((8,), frame))


def drifting(drift, steps, **params):
    """Follow the reference exactly, but `drift` beside it, and return the distances to the root target."""
    command, scene = following((400,), root_target="sliding", **params)
    command.pin_clips(torch.zeros(8))
    start(command)
    errors = []
    for frame in range(1, steps + 1):
        motion = command.library.gather(torch.full((8,), frame))
        scene.robot.root_pos.copy_(motion.root_pos + drift)
        scene.robot.root_quat_wxyz.copy_(motion.root_quat_wxyz)
        step(command, scene)
        errors.append((root_target(scene) - scene.robot.root_pos).norm(dim=1).max().item())
    return errors


def test_the_sliding_target_forgives_drift_after_its_window_and_not_before():
    errors = drifting(torch.tensor([0.5, -0.2, 0.0]), 60, window=20)
    assert errors[:19] == pytest.approx([0.29**0.5] * 19, abs=1e-4)
    assert errors[20:] == pytest.approx([0.0] * 40, abs=1e-4)


def test_the_sliding_target_is_turned_with_the_robots_heading():
    command, scene = following((400,), root_target="sliding", start_noise=0.0, window=10)
    command.pin_clips(torch.zeros(8))
    state = start(command)
    quarter = quat_from_rotation_vector(torch.tensor([0.0, 0.0, torch.pi / 2]))
    scene.robot.root_pos.copy_(state.root_pos)
    scene.robot.root_quat_wxyz.copy_(quat_multiply(quarter, state.root_quat_wxyz))
    for _ in range(11):
        step(command, scene)
    way = root_target(scene) - scene.robot.root_pos
    torch.testing.assert_close(way[0], torch.tensor([0.0, 0.1, 0.0]), rtol=0, atol=2e-3)


@pytest.mark.parametrize("params", [{"root_target": "sliding", "window": 5}, {"sampling": "failure_aware"}])
def test_a_restored_command_continues_like_the_saved_one(params):
    command, scene = following(**params)
    start(command)
    for _ in range(7):
        step(command, scene)
    start(command, torch.tensor([2, 3]), failed=True)
    other, its_scene = following(seed=9, **params)
    load_component_state(other, component_state(command), "command")
    its_scene.episode_step.copy_(scene.episode_step)
    other.publish()
    for _ in range(3):
        assert torch.equal(root_target(its_scene), root_target(scene))
        assert torch.equal(its_scene.reference.future.joint_pos, scene.reference.future.joint_pos)
        ids = torch.tensor([0, 5])
        assert torch.equal(start(other, ids, True).joint_pos, start(command, ids, True).joint_pos)
        step(command, scene)
        step(other, its_scene)


@pytest.mark.parametrize("frames", [[1, 2], [0, 4, 2], []])
def test_future_frames_must_begin_with_the_present_one_and_rise(frames):
    with pytest.raises(ValueError, match="must begin with 0"):
        MotionTracking(future_frames=frames)


@pytest.mark.parametrize("what", ["height", "horizontal", "vertical"])
def test_the_threshold_to_leave_contact_is_not_below_the_one_to_enter_it(what):
    with pytest.raises(ValueError, match=f"'contact_leave_{what}' is 0.1, below contact_enter_{what} = 0"):
        MotionTracking(**{f"contact_leave_{what}": 0.1})
    with pytest.raises(ValueError, match=f"below contact_enter_{what} = 0.9"):
        MotionTracking(**{f"contact_enter_{what}": 0.9})
    MotionTracking(**{f"contact_enter_{what}": 0.9, f"contact_leave_{what}": 0.9})


def test_a_recipe_with_contact_thresholds_in_the_wrong_order_is_rejected_at_its_line():
    with pytest.raises(RecipeError) as caught:
        check_recipe(read_recipe("g1_tracking_quick", ["command.contact_enter_height=0.3"]), Registry.scan())
    assert "'contact_leave_height' is 0.25, below contact_enter_height = 0.3" in str(caught.value)
    assert "command" in str(caught.value)
