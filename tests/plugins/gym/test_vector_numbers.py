"""The adapter's numbers are those of mtrack's own loop, by seed and progress."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from support.vector_play import SHORT, actions, equal, played

from mtrack_gym import VectorEnv, make
from mtrack_testing import small_task


def test_numbers_are_those_of_mtrack_s_own_environment(toy: Callable[..., VectorEnv]) -> None:
    raw = small_task("toy", "num_envs=5", "seed=7", *SHORT).env
    env = toy(*SHORT, seed=7)
    assert np.array_equal(env.reset()[0], raw.observations["policy"].numpy())
    for action in actions(8):
        observation, reward, _, truncated, _ = env.step(action)
        step = raw.step(torch.from_numpy(action))
        assert np.array_equal(observation, step.observations["policy"].numpy())
        assert np.array_equal(reward, step.reward.sum(-1).numpy())
        assert np.array_equal(truncated, step.truncated.numpy())


def test_the_reward_is_the_sum_of_its_groups(toy: Callable[..., VectorEnv]) -> None:
    env = toy("rewards.more.toy_closeness.weight=2")
    assert len(env.env.group_scales) == 2
    env.reset()
    _, reward, *_ = env.step(actions(1)[0])
    closeness = env.env.rewards[0].component(env.env.scene)
    np.testing.assert_allclose(reward, 3 * closeness * env.env.scene.dt, rtol=1e-6)


def test_tensors_are_returned_on_request(toy: Callable[..., VectorEnv]) -> None:
    arrays, tensors = toy(*SHORT, seed=2), toy(*SHORT, seed=2, to_numpy=False)
    expected, _ = arrays.reset()
    now, _ = tensors.reset()
    assert torch.equal(now, torch.from_numpy(expected))
    for action in actions(4):
        before = now
        *expected, infos = arrays.step(action)
        now, *rest, final_infos = tensors.step(torch.from_numpy(action).requires_grad_())
        assert not now.requires_grad
        for value, array in zip((now, *rest), expected, strict=True):
            assert torch.equal(value, torch.from_numpy(array))
        if infos:
            assert np.array_equal(final_infos["final_obs"].numpy(), np.stack(infos["final_obs"]))
    assert not torch.equal(before, now)


def test_a_final_tensor_has_present_observations_of_episodes_that_continue(
    toy: Callable[..., VectorEnv],
) -> None:
    env = toy(*SHORT, to_numpy=False)
    env.reset()
    env.env.scene.episode_step[2] = 2
    observation, *_, infos = env.step(torch.ones(5, 2))
    assert (infos["final_obs"] == observation).all(-1).tolist() == [True, True, False, True, True]


def test_a_seeded_reset_gives_what_a_new_environment_of_that_seed_gives(toy: Callable[..., VectorEnv]) -> None:
    used, new = toy(*SHORT, seed=1), toy(*SHORT, seed=5)
    other = played(used)
    expected = played(new)
    assert equal(played(used, seed=5), expected)
    assert equal(played(used, seed=5), expected)
    assert not equal(other, expected)


def test_a_reset_without_a_seed_continues_the_random_numbers(toy: Callable[..., VectorEnv]) -> None:
    env, twin = toy(seed=1), toy(seed=1)
    first = played(env)
    assert not equal(played(env), first)
    played(twin)
    env.reset(seed=1)
    assert equal(played(twin, seed=1), first)


def test_progress_advances_as_in_a_run(toy: Callable[..., VectorEnv]) -> None:
    env = toy("phases.train.train_every=2", frames=30)  # 3 iterations of 2 steps of 5 environments
    env.reset()
    seen = []
    for action in actions(8):
        env.step(action)
        seen.append(env.env.scene.progress)
    assert seen == pytest.approx([0, 0, 1 / 3, 1 / 3, 2 / 3, 2 / 3, 2 / 3, 2 / 3])
    env.reset()
    assert env.env.scene.progress == pytest.approx(2 / 3)
    env.reset(seed=0)
    assert env.env.scene.progress == 0.0


def test_progress_can_be_fixed(toy: Callable[..., VectorEnv]) -> None:
    env = toy("reward_groups.toy.scale={from=0.5, to=1.0}")
    env.set_progress(1.0)
    env.reset()
    for action in actions(3):
        _, reward, *_ = env.step(action)
    np.testing.assert_allclose(reward, env.env.rewards[0].component(env.env.scene) * env.env.scene.dt, rtol=1e-6)
    with pytest.raises(ValueError, match="share from 0 to 1"):
        env.set_progress(1.1)


def test_a_phase_s_own_settings_hold() -> None:
    overrides = ['phases.train.set={"command.steps"=2}']
    env = make("toy", 2, overrides=overrides, phase="train")
    env.reset()
    assert [env.step(np.zeros((2, 2)))[3].all() for _ in range(2)] == [False, True]
