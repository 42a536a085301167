"""The Gymnasium adapter: spaces, ids, wrappers, and errors for misuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils import env_checker
from gymnasium.utils.env_match import check_environments_match
from gymnasium.wrappers import vector as wrappers
from support.vector_play import SHORT, actions, equal

import mtrack_gym
from mtrack import MtrackError, RecipeError
from mtrack_gym import VectorEnv, make


def test_gymnasium_s_checks_of_resets_and_of_returned_data_pass() -> None:
    # they are written for single environments, and read one flag that says whether the episode has ended
    env: Any = gymnasium.make_vec("mtrack_gym:mtrack/Toy-v0", num_envs=1, overrides=["command.steps=2"])
    env_checker.check_reset_return_type(env)
    env_checker.check_reset_seed_determinism(env)
    env_checker.check_reset_options(env)
    env_checker.check_returned_data_not_reused(env)
    env.close()


def test_gymnasium_finds_two_equal_environments_equal(toy: Callable[..., VectorEnv]) -> None:
    first, second = (toy(*SHORT, num_envs=1) for _ in range(2))
    check: Any = check_environments_match
    check(first, second, num_steps=8, seed=4)


def test_what_is_returned_lies_in_the_spaces(toy: Callable[..., VectorEnv]) -> None:
    env = toy(*SHORT, groups=("policy", "priv"))
    assert env.single_observation_space.shape == (6,)
    assert env.reset()[0] in env.observation_space
    for _ in range(5):
        observation, reward, terminated, truncated, infos = env.step(env.action_space.sample())
        assert observation in env.observation_space
        assert (reward.shape, reward.dtype) == ((5,), np.float32)
        assert (terminated.dtype, truncated.dtype) == (np.bool_, np.bool_)
        assert all(final in env.single_observation_space for final in infos.get("final_obs", ()))


def test_groups_can_be_returned_in_a_dictionary(toy: Callable[..., VectorEnv]) -> None:
    side_by_side, by_name = (toy(*SHORT, groups=("priv", "policy"), as_dict=it) for it in (False, True))
    assert isinstance(by_name.single_observation_space, gymnasium.spaces.Dict)
    joined, parts = side_by_side.reset()[0], by_name.reset()[0]
    assert parts in by_name.observation_space
    assert np.array_equal(joined, np.concatenate((parts["priv"], parts["policy"]), axis=-1))
    for action in actions(3):
        *_, infos = by_name.step(action)
    assert all(final in by_name.single_observation_space for final in infos["final_obs"])


def test_actions_are_bounded_where_the_action_component_clips_them(toy: Callable[..., VectorEnv]) -> None:
    env, twin = toy("action.clip=0.5"), toy("action.clip=0.5")
    assert env.single_action_space == gymnasium.spaces.Box(-0.5, 0.5, (2,), np.float32)
    env.reset()
    twin.reset()
    assert equal(list(env.step(np.full((5, 2), 0.5))), list(twin.step(np.full((5, 2), 7.0))))


def test_gymnasium_s_wrappers_work(toy: Callable[..., VectorEnv]) -> None:
    env = wrappers.RescaleAction(toy(*SHORT), np.float32(-1), np.float32(1))
    env = wrappers.DictInfoToList(wrappers.RecordEpisodeStatistics(wrappers.ClipReward(env, 0.0, 0.01)))
    env.reset(seed=1)
    for action in actions(3):
        _, reward, *_, infos = env.step(action)
    assert reward.max() <= 0.01
    assert [set(info) for info in infos] == [{"final_obs", "final_info", "episode"}] * 5
    assert infos[0]["final_info"] == {"diverged": False}


def test_a_recorded_episode_has_its_length_and_return(toy: Callable[..., VectorEnv]) -> None:
    env = wrappers.RecordEpisodeStatistics(toy(*SHORT))
    env.reset()
    rewards = []
    for action in actions(3):
        _, reward, *_, infos = env.step(action)
        rewards.append(reward)
    assert infos["episode"]["l"].tolist() == [3] * 5
    np.testing.assert_allclose(infos["episode"]["r"], np.sum(rewards, axis=0), rtol=1e-6)


def test_ids_are_registered_by_importing_the_package() -> None:
    env = gymnasium.make_vec("mtrack_gym:mtrack/Toy-v0", num_envs=3, groups=("priv",), overrides=["command.steps=2"])
    assert isinstance(env, VectorEnv)
    assert env.metadata["autoreset_mode"] is gymnasium.vector.AutoresetMode.SAME_STEP
    assert env.reset(seed=0)[0].shape == (3, 2)
    env.close()
    recipes = {"G1Tracking": "g1_tracking_teacher", "G1TrackingQuick": "g1_tracking_quick", "Toy": "toy"}
    assert {name: gymnasium.spec(f"mtrack/{name}-v0").kwargs["recipe"] for name in recipes} == recipes
    assert mtrack_gym.make is make


def test_metrics_are_those_that_a_run_logs(toy: Callable[..., VectorEnv]) -> None:
    env = toy(*SHORT)
    env.reset()
    for action in actions(6):
        env.step(action)
    metrics = env.metrics()
    assert (metrics["episode/count"], metrics["episode/length"], metrics["episode/completed"]) == (10, 3, 1)
    assert 0 < metrics["reward_raw/toy/closeness"] < 1
    assert env.metrics()["episode/count"] == 0


def test_a_reset_drops_the_return_of_an_unfinished_episode(toy: Callable[..., VectorEnv]) -> None:
    env = toy(*SHORT)
    env.reset()
    env.step(actions(1)[0])
    env.reset()
    total = sum(env.step(action)[1] for action in actions(3))
    assert env.metrics()["episode/return"] == pytest.approx(float(np.mean(total)), rel=1e-5)


def test_misuse_is_explained(toy: Callable[..., VectorEnv]) -> None:
    env = toy()
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(actions(1)[0])
    env.reset()
    with pytest.raises(ValueError, match=r"shape \(2,\), expected \(5, 2\)"):
        env.step(np.zeros(2))
    with pytest.raises(MtrackError, match="no observations 'polcy'; did you mean 'policy'"):
        toy(groups=("polcy",))
    with pytest.raises(MtrackError, match="no phase 'trian'; did you mean 'train'"):
        toy(phase="trian")
    with pytest.raises(MtrackError, match="different groups"):
        toy(groups=("policy", "policy"))
    with pytest.raises(RecipeError, match="wieght"):
        toy("rewards.toy.closeness.wieght=1")


def test_a_closed_environment_says_so(toy: Callable[..., VectorEnv]) -> None:
    env = toy()
    env.reset()
    env.close()
    env.close()
    for call in (env.reset, lambda: env.reset(seed=3), lambda: env.step(actions(1)[0])):
        with pytest.raises(gymnasium.error.ClosedEnvironmentError):
            call()
