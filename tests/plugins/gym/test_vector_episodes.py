"""The ends of episodes in the Gymnasium adapter: resets in the step and final observations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from support.vector_play import SHORT, actions

from mtrack_gym import VectorEnv


def test_a_truncated_environment_is_reset_in_the_same_step_and_returns_its_final_observation(
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


def test_each_episode_ends_at_its_own_time(toy: Callable[..., VectorEnv]) -> None:
    env = toy(*SHORT)
    env.reset()
    env.env.scene.episode_step[2] = 2
    *_, truncated, infos = env.step(actions(1)[0])
    assert truncated.tolist() == infos["_final_obs"].tolist() == [False, False, True, False, False]
    assert [final is None for final in infos["final_obs"]] == [True, True, False, True, True]


def test_a_terminated_environment_has_a_final_observation_too(toy: Callable[..., VectorEnv]) -> None:
    env = toy()
    env.reset()
    env.env.rewards[0] = type(env.env.rewards[0])("r", "toy", lambda scene: torch.full((5,), torch.nan), 1.0)
    _, reward, terminated, truncated, infos = env.step(actions(1)[0])
    assert terminated.all()
    assert not truncated.any()
    assert reward.tolist() == [0.0] * 5
    assert infos["final_info"]["diverged"].all()
    assert np.isfinite(np.stack(infos["final_obs"])).all()


def test_a_diverged_environment_is_reported_and_returns_finite_observations(
    toy: Callable[..., VectorEnv], caplog: pytest.LogCaptureFixture
) -> None:
    env = toy()
    env.reset()
    env.env.backend.joint_pos[3] = torch.nan
    observation, _, terminated, _, infos = env.step(actions(1)[0])
    assert terminated.tolist() == infos["final_info"]["diverged"].tolist() == [False, False, False, True, False]
    assert infos["final_obs"][3].tolist() == [0.0] * 4
    assert np.isfinite(observation).all()
    assert "1 environments diverged and were reset" in caplog.text
