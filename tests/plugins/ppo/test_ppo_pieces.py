"""The formulas one by one, each against the plainest way to compute it."""

from __future__ import annotations

import pytest
import torch
from ppo_bandit import Bandit, make
from torch.distributions import Independent, Normal, kl_divergence

from mtrack_ppo import losses
from mtrack_ppo.batch import kept, minibatches
from mtrack_ppo.gae import advantages, bootstrap_values
from mtrack_ppo.optimiser import descend, make_adam
from mtrack_ppo.ppo import normalised_advantage
from mtrack_ppo.rate import adapted_rate
from mtrack_ppo.roofline import matrix_products
from mtrack_ppo.train import Train


def test_advantages_equal_the_sum_over_each_episode_written_out():
    generator = torch.Generator().manual_seed(0)
    reward, value = torch.rand(6, 9, generator=generator), torch.rand(6, 9, generator=generator)
    ends = torch.rand(6, 9, generator=generator)
    terminated, truncated = ends < 0.15, ends > 0.85
    following, final_index = torch.rand(6, generator=generator), truncated.nonzero()
    final_value = torch.rand(len(final_index), generator=generator)
    next_value = bootstrap_values(value, following, terminated, final_index, final_value)
    found = advantages(reward, value, next_value, terminated | truncated, gamma=0.9, lam=0.8)
    finals = {tuple(place): float(v) for place, v in zip(final_index.tolist(), final_value, strict=True)}
    for row in range(6):
        for start in range(9):
            expected, decay = 0.0, 1.0
            for t in range(start, 9):
                after = float(value[row, t + 1]) if t < 8 else float(following[row])
                after = 0.0 if terminated[row, t] else finals.get((row, t), after)
                expected += decay * (float(reward[row, t]) + 0.9 * after - float(value[row, t]))
                decay *= 0.9 * 0.8
                if terminated[row, t] or truncated[row, t]:
                    break
            assert float(found[row, start]) == pytest.approx(expected, abs=1e-5)


def test_densities_agree_with_torch():
    generator = torch.Generator().manual_seed(0)
    old_mean, mean, action = torch.randn(3, 10, 4, generator=generator).unbind()
    old_std, std = (torch.rand(2, 4, generator=generator) + 0.1).unbind()
    old, new = Independent(Normal(old_mean, old_std), 1), Independent(Normal(mean, std), 1)
    torch.testing.assert_close(losses.log_prob(action, mean, std), new.log_prob(action), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(losses.entropy(std), new.entropy()[0])
    torch.testing.assert_close(
        losses.kl_divergence(old_mean, old_std, mean, std), kl_divergence(old, new), rtol=1e-4, atol=1e-4
    )


def test_a_ratio_beyond_the_clip_earns_no_more_but_costs_in_full():
    ratio, advantage = torch.tensor([1.5, 1.5, 0.5, 0.5]), torch.tensor([1.0, -1.0, 1.0, -1.0])
    torch.testing.assert_close(losses.clipped_surrogate(ratio, advantage, 0.2), torch.tensor([-1.2, 1.5, -0.5, 0.8]))


def test_advantages_are_normalised_over_the_samples_learned_from():
    advantage = torch.cat((torch.linspace(-3.0, 9.0, 500), torch.tensor([torch.nan])))
    places = torch.arange(500)
    used = normalised_advantage(advantage, places)[places]
    assert (float(used.mean()), float(used.std())) == pytest.approx((0.0, 1.0), abs=0.01)


def test_an_epoch_draws_every_sample_once_and_in_a_new_order():
    places = torch.arange(10, 31)
    parts = list(minibatches(places, 2, 4, torch.Generator().manual_seed(0)))
    first, second = torch.cat(parts[:4]), torch.cat(parts[4:])
    assert [len(part) for part in parts[:4]] == [6, 5, 5, 5]
    assert torch.equal(first.sort().values, places)
    assert torch.equal(second.sort().values, places)
    assert not torch.equal(first, second)


def test_samples_of_weight_zero_are_stood_in_for_by_one_that_counts():
    _, phase = make()
    rollout = Bandit().roll(phase, num_envs=3, steps=4)
    rollout.data["_weight"][:, 0] = 0.0  # the first three places
    rollout.data["_weight"][1, 2] = 0.0
    assert kept(rollout).tolist() == [3, 3, 3, 3, 4, 5, 6, 6, 8, 9, 10, 11]


def test_the_gradient_of_each_network_is_bounded_by_itself():
    steps = []
    for bound in (1e9, 0.5):
        nets = [torch.nn.Linear(3, 1), torch.nn.Linear(3, 1)]
        x = torch.ones(4, 3)
        # linear: the gradient is that of the input, whatever the weights are
        loss = 100.0 * nets[0](x).sum() + 0.01 * nets[1](x).sum()
        adams = [make_adam(net, 1e-3) for net in nets]
        descend(loss, adams, bound)
        steps.append([adam.state[adam.param_groups[0]["params"][0]]["exp_avg"].norm() for adam in adams])
    assert float(steps[1][1]) == pytest.approx(float(steps[0][1]))  # already below the bound
    weight_share = (3.0 / 4.0) ** 0.5  # of the gradient of weight and bias together
    assert float(steps[1][0]) == pytest.approx(0.1 * 0.5 * weight_share, rel=1e-4)


@pytest.mark.parametrize("poison", [torch.nan, torch.inf])
def test_a_step_that_is_not_finite_changes_nothing(poison: float):
    nets = [torch.nn.Linear(3, 1), torch.nn.Linear(3, 1)]
    adams = [make_adam(net, 1e-2) for net in nets]
    x = torch.ones(4, 3)
    assert descend(sum(net(x).square().sum() for net in nets), adams, 1.0) == 0.0
    before = [parameter.detach().clone() for net in nets for parameter in net.parameters()]
    counts = [float(state["step"]) for adam in adams for state in adam.state.values()]
    assert descend(poison * nets[0](x).sum() + nets[1](x).sum(), adams, 1.0) == 1.0
    after = [parameter for net in nets for parameter in net.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert counts == [float(state["step"]) for adam in adams for state in adam.state.values()]


def test_the_rate_follows_the_divergence_within_its_bounds():
    settings = Train()
    assert adapted_rate(settings, 1e-3, 0.03) == pytest.approx(1e-3 / 1.1)
    assert adapted_rate(settings, 1e-3, 0.01) == 1e-3
    assert adapted_rate(settings, 1e-3, 0.001) == pytest.approx(1.1e-3)
    assert adapted_rate(settings, 1e-5, 1.0) == 1e-5
    assert adapted_rate(settings, 5e-3, 0.0) == 5e-3
    assert adapted_rate(settings, 1e-3, float("nan")) == 1e-3


def test_the_listed_products_are_those_of_a_plain_update():
    agent, phase = make(estimator_epochs=3)
    rows = 2 * 128 // 4
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
    expected = 2 * sum(rows * k * n for k, n in forward) + sum(
        rows * k * n for k, n in forward if k not in (4, 12, 263)
    )
    expected += rows * 32 * 256  # the actor's first layer sends a gradient into the feature
    estimator = 2 * rows * (7 * 32 + 32 * 256) + rows * 32 * 256
    listed = sum(m * k * n * count for m, k, n, count in matrix_products(agent, phase, 128))
    assert listed == 8 * expected + 12 * estimator
