"""The Gymnasium adapter on the G1 gives the numbers of mtrack's own loop, with noise, randomization and falls."""

from __future__ import annotations

import numpy as np
import torch

from mtrack_gym import make
from mtrack_testing import small_task

RECIPE, SMALL = "g1_tracking_quick", ("num_envs=4", "randomizations.foot_material={}")


def test_numbers_are_those_of_mtrack_s_own_environment() -> None:
    env = make(RECIPE, overrides=SMALL, groups=("policy", "priv", "critic_priv"))
    raw = small_task(RECIPE, *SMALL).env
    raw.observe_terminated = True  # previews draw noise
    env.set_progress(0.0)
    assert env.num_envs == 4
    names = ("policy", "priv", "critic_priv")
    assert np.array_equal(env.reset()[0], torch.cat([raw.observations[name] for name in names], dim=-1).numpy())
    draw, ends = np.random.default_rng(0), 0
    for _ in range(40):
        action = draw.normal(0.0, 4.0, (4, 29)).astype(np.float32)  # too large to keep standing
        observation, reward, terminated, truncated, infos = env.step(action)
        step = raw.step(torch.from_numpy(action))
        assert np.array_equal(observation, torch.cat([step.observations[name] for name in names], dim=-1).numpy())
        assert np.array_equal(reward, step.reward.sum(-1).numpy())
        assert np.array_equal(terminated, step.terminated.numpy())
        assert np.array_equal(truncated, step.truncated.numpy())
        if infos:
            assert step.final is not None
            final = torch.cat([step.final[name] for name in names], dim=-1).numpy()
            assert np.array_equal(np.stack(infos["final_obs"][infos["_final_obs"]]), final)
        ends += terminated.sum()
    assert ends > 0
    env.close()


def test_a_later_phase_can_be_chosen() -> None:
    env = make(RECIPE, 2, phase="finetune")
    assert env.env.command.root_target == "sliding"
    assert env.reset()[0].shape == (2, 623)
    env.close()
