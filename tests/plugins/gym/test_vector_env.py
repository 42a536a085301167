"""The Gymnasium adapter: spaces, resets in the step, seeds, progress, and the same numbers as mtrack's own loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils import env_checker
from gymnasium.utils.env_match import check_environments_match
from gymnasium.wrappers import vector as wrappers

import mtrack_gym
from mtrack.errors import MtrackError, RecipeError
from mtrack_dev.testing import small_task
from mtrack_gym import VectorEnv, make

SHORT = ("command.steps=3",)


@pytest.fixture
def toy() -> Iterator[Callable[..., VectorEnv]]:
    """Return a function that makes 5 toy environments; they are closed afterwards."""
    made: list[VectorEnv] = []

    def build(*overrides: str, num_envs: int = 5, **options: Any) -> VectorEnv:
        made.append(make("toy", num_envs, overrides=overrides, **options))
        return made[-1]

    yield build
    for env in made:
        env.close()


def actions(steps: int, num_envs: int = 5) -> list[np.ndarray]:
    draw = np.random.default_rng(0)
    return [draw.uniform(-1, 1, (num_envs, 2)).astype(np.float32) for _ in range(steps)]


def played(env: gymnasium.vector.VectorEnv, steps: int = 8, seed: int | None = None) -> list[Any]:
    seen = [env.reset(seed=seed)[0]]
    for action in actions(steps):
        observation, reward, terminated, truncated, infos = env.step(action)
        seen += [observation, reward, terminated, truncated, infos.get("final_obs", 0)]
    return seen


def equal(one: list[Any], two: list[Any]) -> bool:
    return all(env_checker.data_equivalence(a, b, exact=True) for a, b in zip(one, two, strict=True))


# ---------------------------------------------------------------- Gymnasium's own checks


def test_gymnasium_s_checks_of_resets_and_of_returned_data_pass() -> None:
    # they are written for single environments, so that they want to know whether "the" episode has ended
    env: Any = gymnasium.make_vec("mtrack_gym:mtrack/Toy-v0", num_envs=1, overrides=["command.steps=2"])
    env_checker.check_reset_return_type(env)
    env_checker.check_reset_seed_determinism(env)
    env_checker.check_reset_options(env)
    env_checker.check_returned_data_not_reused(env)
    env.close()


def test_gymnasium_finds_two_of_a_kind_equal(toy: Callable[..., VectorEnv]) -> None:
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


def test_groups_may_come_in_a_dictionary(toy: Callable[..., VectorEnv]) -> None:
    side_by_side, by_name = (toy(*SHORT, groups=("priv", "policy"), as_dict=it) for it in (False, True))
    assert isinstance(by_name.single_observation_space, gymnasium.spaces.Dict)
    joined, parts = side_by_side.reset()[0], by_name.reset()[0]
    assert parts in by_name.observation_space
    assert np.array_equal(joined, np.concatenate((parts["priv"], parts["policy"]), axis=-1))
    for action in actions(3):
        *_, infos = by_name.step(action)
    assert all(final in by_name.single_observation_space for final in infos["final_obs"])


def test_actions_are_bounded_where_the_action_component_cuts_them_off(toy: Callable[..., VectorEnv]) -> None:
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
    assert infos[0]["final_info"] == {"broken": False}


def test_a_recorded_episode_has_its_length_and_return(toy: Callable[..., VectorEnv]) -> None:
    env = wrappers.RecordEpisodeStatistics(toy(*SHORT))
    env.reset()
    rewards = []
    for action in actions(3):
        _, reward, *_, infos = env.step(action)
        rewards.append(reward)
    assert infos["episode"]["l"].tolist() == [3] * 5
    np.testing.assert_allclose(infos["episode"]["r"], np.sum(rewards, axis=0), rtol=1e-6)


# ---------------------------------------------------------------- ids


def test_ids_are_registered_by_importing_the_package() -> None:
    env = gymnasium.make_vec("mtrack_gym:mtrack/Toy-v0", num_envs=3, groups=("priv",), overrides=["command.steps=2"])
    assert isinstance(env, VectorEnv)
    assert env.metadata["autoreset_mode"] is gymnasium.vector.AutoresetMode.SAME_STEP
    assert env.reset(seed=0)[0].shape == (3, 2)
    env.close()
    recipes = {"G1Tracking": "g1_tracking_teacher", "G1TrackingQuick": "g1_tracking_quick", "Toy": "toy"}
    assert {name: gymnasium.spec(f"mtrack/{name}-v0").kwargs["recipe"] for name in recipes} == recipes
    assert mtrack_gym.make is make


# ---------------------------------------------------------------- ends of episodes


def test_a_truncated_row_is_reset_in_the_step_and_hands_on_its_final_observation(
    toy: Callable[..., VectorEnv],
) -> None:
    env = toy(*SHORT)
    env.reset()
    first, second, third = actions(3)
    *_, infos = env.step(first)
    assert infos == {}
    env.step(second)
    target = env.env.scene.reference.joint_pos.clone().numpy()
    observation, _, terminated, truncated, infos = env.step(third)
    assert truncated.all()
    assert not terminated.any()
    error, joint_pos = np.split(np.stack(infos["final_obs"]), 2, axis=-1)
    np.testing.assert_allclose(error + joint_pos, target, atol=1e-6)
    assert np.all(joint_pos != 0.0)
    assert np.all(observation[:, 2:] == 0.0), "the new episode begins at rest at zero"
    assert infos["_final_obs"].all()


def test_rows_end_each_at_their_own_time(toy: Callable[..., VectorEnv]) -> None:
    env = toy(*SHORT)
    env.reset()
    env.env.scene.episode_step[2] = 2
    *_, truncated, infos = env.step(actions(1)[0])
    assert truncated.tolist() == infos["_final_obs"].tolist() == [False, False, True, False, False]
    assert [final is None for final in infos["final_obs"]] == [True, True, False, True, True]


def test_a_terminated_row_has_a_final_observation_too(toy: Callable[..., VectorEnv]) -> None:
    env = toy()
    env.reset()
    env.env.rewards[0] = type(env.env.rewards[0])("r", "toy", lambda scene: torch.full((5,), torch.nan), 1.0)
    _, reward, terminated, truncated, infos = env.step(actions(1)[0])
    assert terminated.all()
    assert not truncated.any()
    assert reward.tolist() == [0.0] * 5
    assert infos["final_info"]["broken"].all()
    assert np.isfinite(np.stack(infos["final_obs"])).all()


def test_what_broke_is_told_and_hands_on_nothing_that_is_not_finite(
    toy: Callable[..., VectorEnv], caplog: pytest.LogCaptureFixture
) -> None:
    env = toy()
    env.reset()
    env.env.backend.joint_pos[3] = torch.nan
    observation, _, terminated, _, infos = env.step(actions(1)[0])
    assert terminated.tolist() == infos["final_info"]["broken"].tolist() == [False, False, False, True, False]
    assert infos["final_obs"][3].tolist() == [0.0] * 4
    assert np.isfinite(observation).all()
    assert "the simulation of 1 environments broke" in caplog.text


# ---------------------------------------------------------------- numbers


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


def test_tensors_are_handed_out_where_they_are_wanted(toy: Callable[..., VectorEnv]) -> None:
    arrays, tensors = toy(*SHORT, seed=2), toy(*SHORT, seed=2, to_numpy=False)
    expected, _ = arrays.reset()
    now, _ = tensors.reset()
    assert torch.equal(now, torch.from_numpy(expected))
    for action in actions(4):
        before = now
        *expected, infos = arrays.step(action)
        now, *rest, told = tensors.step(torch.from_numpy(action).requires_grad_())
        assert not now.requires_grad
        for value, array in zip((now, *rest), expected, strict=True):
            assert torch.equal(value, torch.from_numpy(array))
        if infos:
            assert np.array_equal(told["final_obs"].numpy(), np.stack(infos["final_obs"]))
    assert not torch.equal(before, now)


def test_a_final_tensor_has_the_present_observations_of_rows_that_go_on(toy: Callable[..., VectorEnv]) -> None:
    env = toy(*SHORT, to_numpy=False)
    env.reset()
    env.env.scene.episode_step[2] = 2
    observation, *_, infos = env.step(torch.ones(5, 2))
    assert (infos["final_obs"] == observation).all(-1).tolist() == [True, True, False, True, True]


# ---------------------------------------------------------------- seeds and progress


def test_a_seeded_reset_gives_what_a_new_environment_of_that_seed_gives(toy: Callable[..., VectorEnv]) -> None:
    used, new = toy(*SHORT, seed=1), toy(*SHORT, seed=5)
    other = played(used)
    expected = played(new)
    assert equal(played(used, seed=5), expected)
    assert equal(played(used, seed=5), expected)
    assert not equal(other, expected)


def test_a_reset_without_a_seed_goes_on_with_the_random_numbers(toy: Callable[..., VectorEnv]) -> None:
    env, twin = toy(seed=1), toy(seed=1)
    first = played(env)
    assert not equal(played(env), first)
    played(twin)
    env.reset(seed=1)
    assert equal(played(twin, seed=1), first)


def test_progress_goes_on_as_in_a_run(toy: Callable[..., VectorEnv]) -> None:
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


def test_progress_can_be_held(toy: Callable[..., VectorEnv]) -> None:
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


# ---------------------------------------------------------------- figures, use and misuse


def test_figures_are_those_a_run_logs(toy: Callable[..., VectorEnv]) -> None:
    env = toy(*SHORT)
    env.reset()
    for action in actions(6):
        env.step(action)
    figures = env.figures()
    assert (figures["episode/count"], figures["episode/length"], figures["episode/completed"]) == (10, 3, 1)
    assert 0 < figures["reward/toy/closeness"] < 1
    assert env.figures()["episode/count"] == 0


def test_a_reset_forgets_the_return_of_an_episode_it_cuts_off(toy: Callable[..., VectorEnv]) -> None:
    env = toy(*SHORT)
    env.reset()
    env.step(actions(1)[0])
    env.reset()
    total = sum(env.step(action)[1] for action in actions(3))
    assert env.figures()["episode/return"] == pytest.approx(float(np.mean(total)), rel=1e-5)


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
