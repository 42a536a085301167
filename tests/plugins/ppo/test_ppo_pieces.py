"""Each formula of PPO, compared with the most direct way to compute it."""

from __future__ import annotations

import pytest
import torch
from ppo_bandit import Bandit, make
from torch.distributions import Independent, Normal, kl_divergence

from mtrack_ppo.networks import gaussian_entropy, gaussian_kl, gaussian_log_prob
from mtrack_ppo.phases import make_adam
from mtrack_ppo.ppo import (
    bootstrap_values,
    clipped_surrogate,
    compute_gae,
    minibatch_indices,
    normalised_advantages,
    optimiser_step,
    sample_indices,
)
from mtrack_ppo.roofline import matrix_products
from mtrack_ppo.train import Train


def test_advantages_equal_the_sum_over_each_episode_written_out():
    generator = torch.Generator().manual_seed(0)
    reward, value = torch.rand(6, 9, generator=generator), torch.rand(6, 9, generator=generator)
    ends = torch.rand(6, 9, generator=generator)
    terminated, truncated = ends < 0.15, ends > 0.85
    last_value, final_index = torch.rand(6, generator=generator), truncated.nonzero()
    final_value = torch.rand(len(final_index), generator=generator)
    next_value = bootstrap_values(value, last_value, terminated, final_index, final_value)
    found = compute_gae(reward, value, next_value, terminated | truncated, gamma=0.9, gae_lambda=0.8)
    finals = {tuple(index): float(v) for index, v in zip(final_index.tolist(), final_value, strict=True)}
    for env in range(6):
        for start in range(9):
            expected, decay = 0.0, 1.0
            for t in range(start, 9):
                after = float(value[env, t + 1]) if t < 8 else float(last_value[env])
                after = 0.0 if terminated[env, t] else finals.get((env, t), after)
                expected += decay * (float(reward[env, t]) + 0.9 * after - float(value[env, t]))
                decay *= 0.9 * 0.8
                if terminated[env, t] or truncated[env, t]:
                    break
            assert float(found[env, start]) == pytest.approx(expected, abs=1e-5)


def test_densities_agree_with_torch():
    generator = torch.Generator().manual_seed(0)
    old_mean, mean, action = torch.randn(3, 10, 4, generator=generator).unbind()
    old_std, std = (torch.rand(2, 4, generator=generator) + 0.1).unbind()
    old, new = Independent(Normal(old_mean, old_std), 1), Independent(Normal(mean, std), 1)
    torch.testing.assert_close(gaussian_log_prob(action, mean, std), new.log_prob(action), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(gaussian_entropy(std), new.entropy()[0])
    torch.testing.assert_close(gaussian_kl(old_mean, old_std, mean, std), kl_divergence(old, new), rtol=1e-4, atol=1e-4)


def test_a_ratio_beyond_the_clip_range_has_no_further_gain_but_its_full_cost():
    ratio, advantage = torch.tensor([1.5, 1.5, 0.5, 0.5]), torch.tensor([1.0, -1.0, 1.0, -1.0])
    torch.testing.assert_close(clipped_surrogate(ratio, advantage, 0.2), torch.tensor([-1.2, 1.5, -0.5, 0.8]))


def test_advantages_are_normalised_over_the_samples_learned_from():
    advantage = torch.cat((torch.linspace(-3.0, 9.0, 500), torch.tensor([torch.nan])))
    indices = torch.arange(500)
    used = normalised_advantages(advantage, indices)[indices]
    assert (float(used.mean()), float(used.std())) == pytest.approx((0.0, 1.0), abs=0.01)


def test_each_epoch_draws_every_sample_once_in_a_new_order():
    indices = torch.arange(10, 31)
    parts = list(minibatch_indices(indices, 2, 4, torch.Generator().manual_seed(0)))
    first, second = torch.cat(parts[:4]), torch.cat(parts[4:])
    assert [len(part) for part in parts[:4]] == [6, 5, 5, 5]
    assert torch.equal(first.sort().values, indices)
    assert torch.equal(second.sort().values, indices)
    assert not torch.equal(first, second)


def test_samples_of_weight_zero_are_replaced_by_the_previous_one_of_positive_weight():
    _, phase = make()
    rollout = Bandit().roll(phase, num_envs=3, steps=4)
    rollout.data["_weight"][:, 0] = 0.0  # the first three samples
    rollout.data["_weight"][1, 2] = 0.0
    assert sample_indices(rollout).tolist() == [3, 3, 3, 3, 4, 5, 6, 6, 8, 9, 10, 11]


def test_the_gradient_of_each_network_is_clipped_separately():
    steps = []
    for bound in (1e9, 0.5):
        nets = [torch.nn.Linear(3, 1), torch.nn.Linear(3, 1)]
        x = torch.ones(4, 3)
        # linear, so the gradient does not depend on the weights
        loss = 100.0 * nets[0](x).sum() + 0.01 * nets[1](x).sum()
        adams = [make_adam(net, 1e-3) for net in nets]
        optimiser_step(loss, adams, bound)
        steps.append([adam.state[adam.param_groups[0]["params"][0]]["exp_avg"].norm() for adam in adams])
    assert float(steps[1][1]) == pytest.approx(float(steps[0][1]))  # already below the bound
    weight_share = (3.0 / 4.0) ** 0.5  # relative to the gradient of weight and bias together
    assert float(steps[1][0]) == pytest.approx(0.1 * 0.5 * weight_share, rel=1e-4)


@pytest.mark.parametrize("poison", [torch.nan, torch.inf])
def test_a_step_that_is_not_finite_changes_nothing(poison: float):
    nets = [torch.nn.Linear(3, 1), torch.nn.Linear(3, 1)]
    adams = [make_adam(net, 1e-2) for net in nets]
    x = torch.ones(4, 3)
    assert optimiser_step(sum(net(x).square().sum() for net in nets), adams, 1.0) == 0.0
    before = [parameter.detach().clone() for net in nets for parameter in net.parameters()]
    counts = [float(state["step"]) for adam in adams for state in adam.state.values()]
    assert optimiser_step(poison * nets[0](x).sum() + nets[1](x).sum(), adams, 1.0) == 1.0
    after = [parameter for net in nets for parameter in net.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert counts == [float(state["step"]) for adam in adams for state in adam.state.values()]


@pytest.mark.parametrize(
    ("rate", "kl", "expected"),
    [
        (1e-3, 0.03, 1e-3 / 1.1),
        (1e-3, 0.01, 1e-3),
        (1e-3, 0.001, 1.1e-3),
        (1e-5, 1.0, 1e-5),
        (5e-3, 0.0, 5e-3),
        (1e-3, float("nan"), 1e-3),
    ],
)
def test_the_learning_rate_follows_the_kl_divergence_within_its_bounds(rate: float, kl: float, expected: float):
    phase = Train()
    phase.learning_rate = rate
    metrics = {"policy/kl": kl, "update/skipped": 0.0}
    assert phase.next_learning_rate(metrics, progress=0.5) == pytest.approx(expected)


@pytest.mark.parametrize("kl_range", [(0.03, 0.01), (0.0, 0.01), (float("nan"), 0.01)])
def test_a_kl_range_that_is_not_positive_or_not_ordered_is_rejected(kl_range: tuple[float, float]):
    assert Train(kl_range=(0.01, 0.01)).kl_range == (0.01, 0.01)
    with pytest.raises(ValueError, match=r"kl_range must be \[low, high\] with 0 < low <= high, not \["):
        Train(kl_range=kl_range)


def test_the_listed_matrix_products_are_those_of_a_plain_update():
    _, phase = make(estimator_epochs=3)
    samples = 2 * 128 // 4
    forward = [
        (4, 32),
        (32, 256),  # encoder
        (7 + 256, 32),
        (32, 32),
        (32, 4),  # actor
        (12, 32),
        (32, 32),
        (32, 1),  # critic
    ]
    expected = 2 * sum(samples * k * n for k, n in forward) + sum(
        samples * k * n for k, n in forward if k not in (4, 12, 263)
    )
    expected += samples * 32 * 256  # the actor's first layer sends a gradient into the feature
    estimator = 2 * samples * (7 * 32 + 32 * 256) + samples * 32 * 256
    listed = sum(m * k * n * count for m, k, n, count in matrix_products(phase, 128))
    assert listed == 8 * expected + 12 * estimator
