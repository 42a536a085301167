"""The agent `actor_critic` and its phase `ppo`: it learns, resumes, works with mirror images and names mistakes."""

from __future__ import annotations

import pytest
import torch
from ppo_bandit import ACTION_MIRROR, SENSED_MIRROR, Bandit, layout
from torch import Tensor

from mtrack import MtrackError
from mtrack_ppo.actor_critic import ActorCritic
from mtrack_ppo.agent import TeacherStudent
from mtrack_ppo.roofline import matrix_products
from mtrack_ppo.single_phase import Ppo
from mtrack_ppo.train import Train

SMALL = {"actor_hidden": (32, 32), "critic_hidden": (32, 32), "critic_group": "priv", "init_std": 0.5}


def made(**settings: object) -> tuple[ActorCritic, Ppo]:
    """Return a small agent and a phase that has entered."""
    agent = ActorCritic(**SMALL)
    agent.build(layout())
    phase = Ppo(**({"epochs": 4, "minibatches": 4, "autocast": "none", "lr": 3e-3, "kl_start": 1.0} | settings))
    phase.enter(agent, layout(), None)
    return agent, phase


@pytest.mark.parametrize("mirror", [False, True])
def test_it_learns_a_task(mirror: bool):
    agent, phase = made(mirror=mirror, gamma=0.0)
    bandit = Bandit()
    assert bandit.score(agent, "policy") < 0.82
    for _ in range(10):
        metrics = phase.update(bandit.roll(phase), 0.5)
    assert bandit.score(agent, "policy") > 0.95
    assert metrics["value/explained_variance"] <= 1.0
    assert ("loss/mirror_mean" in metrics) == mirror


def test_one_mirrored_pass_equals_two_passes_over_samples_and_their_mirror_images():
    agent, _ = made()
    observations = Bandit().observe(50)
    agent.learn_normalisers(observations)
    image = observations.clone()
    image["policy"], image["priv"] = SENSED_MIRROR(image["policy"]), ACTION_MIRROR(image["priv"])
    inputs, mirrored = (agent.network_inputs(each, torch.float32) for each in (observations, image))

    def outputs(inputs: Tensor, mirror: bool) -> list[Tensor]:
        mean = agent.mean_action("policy", inputs, agent.feature("policy", inputs, mirror), mirror)
        return [mean, agent.raw_value(inputs, mirror)]

    for both, one, other in zip(outputs(inputs, True), outputs(inputs, False), outputs(mirrored, False), strict=True):
        torch.testing.assert_close(both[0::2], one, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(both[1::2], other, atol=1e-5, rtol=1e-4)


def test_the_policy_needs_only_its_group_and_the_critic_only_its_own():
    agent, _ = made()
    observations = Bandit().observe(5)
    action = agent.policy(observations, "policy")
    assert torch.equal(agent.policy(observations.select("policy"), "policy"), action)
    value = agent.value(agent.network_inputs(observations, torch.float32))
    observations["policy"] = torch.randn_like(observations["policy"])
    assert torch.equal(agent.value(agent.network_inputs(observations, torch.float32)), value)


def test_the_critic_may_see_the_group_of_the_policy():
    agent = ActorCritic(**(SMALL | {"critic_group": "policy"}))
    agent.build(layout())
    assert agent.groups == ("policy",)
    assert agent.value(agent.network_inputs(Bandit().observe(5), torch.float32)).shape == (5,)


def test_the_learning_rate_of_actor_and_critic_adapts():
    _, phase = made(kl_start=0.0, kl_range=(1e-6, 1e-5), kl_factor=2.0)
    bandit = Bandit()
    phase.update(bandit.roll(phase), 0.0)
    assert phase.learning_rate == pytest.approx(1.5e-3)
    phase.update(bandit.roll(phase), 0.0)
    assert [adam.param_groups[0]["lr"] for adam in (phase.actor_adam, phase.critic_adam)] == [1.5e-3, 1.5e-3]


def test_the_listed_matrix_products_are_those_of_a_plain_update():
    _, phase = made(mirror=False)
    layers = [(7, 32), (32, 32), (32, 4), (4, 32), (32, 32), (32, 1)]  # actor, critic
    once = sum(32 * k * n for k, n in layers)
    into = sum(32 * k * n for k, n in layers if k == 32)
    assert sum(m * k * n * count for m, k, n, count in matrix_products(phase, 128)) == 16 * (2 * once + into)


def test_mistakes_are_reported_with_a_remedy():
    agent, phase = made()
    with pytest.raises(MtrackError, match="has no actor 'teacher'; it has only 'policy'"):
        agent.actor("teacher")
    with pytest.raises(MtrackError, match=r"group 'critic'[\s\S]*agent.policy_group or agent.critic_group"):
        ActorCritic().build(layout())
    with pytest.raises(MtrackError, match="phase 'ppo' must be first or follow 'ppo'"):
        phase.enter(agent, layout(), "train")
    other = TeacherStudent()
    other.build(layout())
    with pytest.raises(MtrackError, match=r"phase 'ppo' trains the agent 'actor_critic', but .* TeacherStudent"):
        phase.enter(other, layout(), None)
    with pytest.raises(MtrackError, match=r"phase 'train' trains the agent 'teacher_student', but .* ActorCritic"):
        Train().enter(agent, layout(), None)
