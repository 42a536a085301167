"""A symmetric agent: its outputs mirror with its inputs, before and after training, with tied weights."""

from __future__ import annotations

import pytest
import torch
from ppo_bandit import ACTION_MIRROR, SENSED_MIRROR, SMALL, Bandit, layout, make
from torch import Tensor
from torch.nn import functional

from mtrack import MtrackError
from mtrack_ppo.adapt import Adapt
from mtrack_ppo.agent import TeacherStudent
from mtrack_ppo.finetune import Finetune
from mtrack_ppo.networks import HEAD_GAIN, Mlp, Style
from mtrack_ppo.roofline import matrix_products


def trained(**settings: object) -> TeacherStudent:
    """Return a symmetric agent after a few updates of every phase."""
    agent, phase = make({"symmetric": True} | settings, lr=3e-3)
    bandit = Bandit()
    for progress in (0.3, 0.6):
        phase.update(bandit.roll(phase), progress)
    for phase, previous in (Adapt(minibatches=2), "train"), (Finetune(critic_warmup=0.0, minibatches=2), "adapt"):
        phase.enter(agent, layout(), previous)
        phase.update(bandit.roll(phase), 0.5)
    return agent


@pytest.mark.parametrize(("activation", "norm"), [("elu", "none"), ("mish", "layer")])
def test_mirrored_observations_give_mirrored_actions_and_equal_values(activation: str, norm: str):
    agent = trained(activation=activation, norm=norm)
    observations = Bandit().observe(50)
    image = observations.clone()
    image["policy"], image["priv"] = SENSED_MIRROR(image["policy"]), ACTION_MIRROR(image["priv"])
    for actor in ("teacher", "student"):
        action = agent.policy(observations, actor)
        assert float(action.std(0).min()) > 0.01  # it depends on the observation
        torch.testing.assert_close(agent.policy(image, actor), ACTION_MIRROR(action), atol=1e-5, rtol=1e-4)
    one, other = (agent.network_inputs(each, torch.float32) for each in (observations, image))
    torch.testing.assert_close(agent.value(other), agent.value(one), atol=1e-5, rtol=1e-4)
    swapped = agent.priv_feature(one).roll(agent.feature_width // 2, dims=1)
    torch.testing.assert_close(agent.priv_feature(other), swapped, atol=1e-5, rtol=1e-4)


def test_training_keeps_weights_and_standard_deviations_symmetric_to_the_last_bit():
    agent = trained()
    layers = [layer for network in (agent.actor_teacher.mean, agent.critic) for layer in (*network.rest, network.head)]
    for layer in (*layers, agent.encoder_priv.head, agent.adapt_module.head):
        assert torch.equal(layer.weight, layer.symmetry.of_weight(layer.weight))
        assert torch.equal(layer.bias, layer.symmetry.of_bias(layer.bias))
    assert torch.equal(agent.actor_teacher.std, agent.actor_teacher.std[ACTION_MIRROR.perm])


def test_gradients_are_those_of_a_plain_network_with_the_same_weights():
    style = Style("elu", "none", seed=1)
    network = Mlp("actor", (5, 3), (12, 8), 4, style=style, gain=HEAD_GAIN, feature=6, mirror=ACTION_MIRROR)
    draw = torch.Generator().manual_seed(0)
    even, odd, feature = (torch.randn(20, width, generator=draw) for width in (5, 3, 6))
    output = network(even, odd, feature)
    output.square().sum().backward()

    # the units of the mirror image see the odd inputs with the opposite sign, and the feature's halves exchanged
    half = network.first.weight.detach().clone().requires_grad_()
    of_even, of_odd, of_feature = half.split((5, 3, 6), dim=1)
    first = torch.cat((half, torch.cat((of_even, -of_odd, of_feature.roll(3, dims=1)), dim=1)))
    inner, head = (layer.weight.detach().clone().requires_grad_() for layer in (network.rest[0], network.head))
    hidden = functional.elu(functional.linear(torch.cat((even, odd, feature), dim=1), first))
    plain = functional.linear(functional.elu(functional.linear(hidden, inner)), head)
    plain.square().sum().backward()

    torch.testing.assert_close(output, plain)
    torch.testing.assert_close(network.first.weight.grad, half.grad)
    for layer, reference in (network.rest[0], inner), (network.head, head):
        torch.testing.assert_close(layer.weight.grad, layer.symmetry.of_weight(reference.grad))


def test_initial_weights_are_orthogonal():
    agent, _ = make({"symmetric": True})
    inner = agent.critic.rest[0].weight
    torch.testing.assert_close(inner @ inner.T, 2.0 * torch.eye(32), atol=1e-5, rtol=0)


@pytest.mark.parametrize("precision", ["none", "bfloat16"])
def test_a_symmetric_teacher_learns_the_task_without_mirror_losses(precision: str):
    agent, phase = make({"symmetric": True, "init_std": 0.5}, autocast=precision, lr=3e-3, gamma=0.0)
    bandit = Bandit()
    metrics = [phase.update(bandit.roll(phase), iteration / 10) for iteration in range(10)]
    assert bandit.score(agent) > 0.97
    assert metrics[-1]["loss/estimator"] < 0.5 * metrics[0]["loss/estimator"]
    assert "mirror/error" not in metrics[-1]


def test_its_matrix_products_are_those_of_a_plain_network_without_mirror_images():
    def work(symmetric: bool) -> int:
        _, phase = make({"symmetric": symmetric})
        return sum(m * k * n * count for m, k, n, count in matrix_products(phase, 128))

    assert work(symmetric=True) == work(symmetric=False) // 2


def test_an_odd_width_is_reported_with_its_parameter():
    with pytest.raises(MtrackError, match="33 is odd; with symmetric = true, widths must be even") as raised:
        make({"symmetric": True, "critic_hidden": (32, 33)})
    assert raised.value.parameter == "critic_hidden"


def test_a_group_without_a_mirror_is_reported():
    bare = layout(mirrors={**layout().mirrors, "priv": None})
    with pytest.raises(MtrackError, match=r"'priv' has no mirror: set symmetric = false in \[agent\]"):
        TeacherStudent(**SMALL, symmetric=True).build(bare)


def test_unequal_initial_standard_deviations_of_left_and_right_are_averaged():
    agent, _ = make({"symmetric": True, "init_std": {"left_hip": 0.2, "right_hip": 0.4}})
    std: Tensor = agent.actor_student.std
    torch.testing.assert_close(std[:2], torch.tensor([0.3, 0.3]))
