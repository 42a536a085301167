"""The agent: shapes, seeds, mirror images and error messages."""

from __future__ import annotations

import pytest
import torch
from ppo_bandit import ACTION_MIRROR, NAMES, SENSED_MIRROR, SMALL, Bandit, layout, parameters
from torch import Tensor

from mtrack import MtrackError
from mtrack_ppo.agent import TeacherStudent
from mtrack_ppo.agent_checks import initial_std


def built(seed: int = 3, **settings: object) -> TeacherStudent:
    agent = TeacherStudent(**(SMALL | settings))
    agent.build(layout(seed))
    return agent


def test_the_same_seed_gives_the_same_networks_and_another_gives_others():
    assert torch.equal(parameters(built()), parameters(built()))
    assert not torch.equal(parameters(built()), parameters(built(seed=4)))


def test_building_does_not_use_the_global_generator():
    before = torch.get_rng_state()
    built()
    assert torch.equal(before, torch.get_rng_state())


def test_initial_weights_of_a_network_do_not_depend_on_the_size_of_another():
    wider = built(critic_hidden=(64,))
    assert torch.equal(wider.actor_teacher.mean.first.weight, built().actor_teacher.mean.first.weight)


def test_initial_weights_are_orthogonal_with_small_heads():
    mean = built().actor_teacher.mean
    inner = mean.rest[0].weight
    torch.testing.assert_close(inner @ inner.T, 2.0 * torch.eye(32), atol=1e-5, rtol=0)
    assert float(torch.linalg.matrix_norm(mean.head.weight.detach(), 2)) == pytest.approx(0.01, rel=1e-4)


@pytest.mark.parametrize("norm", ["none", "layer"])
@pytest.mark.parametrize("activation", ["elu", "relu", "silu", "mish", "gelu", "tanh"])
def test_one_mirrored_pass_equals_two_passes_over_samples_and_their_mirror_images(activation: str, norm: str):
    agent = built(activation=activation, norm=norm)
    observations = Bandit().observe(50)
    agent.learn_normalisers(observations)
    image = observations.clone()
    image["policy"], image["priv"] = SENSED_MIRROR(image["policy"]), ACTION_MIRROR(image["priv"])
    inputs, mirrored = (agent.network_inputs(each, torch.float32) for each in (observations, image))

    def outputs(inputs: Tensor, mirror: bool) -> list[Tensor]:
        feature = agent.priv_feature(inputs, mirror)
        mean = agent.mean_action("teacher", inputs, feature, mirror)
        return [feature, mean, agent.raw_value(inputs, mirror), agent.priv_pred(inputs, mirror)]

    for both, one, other in zip(outputs(inputs, True), outputs(inputs, False), outputs(mirrored, False), strict=True):
        torch.testing.assert_close(both[0::2], one, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(both[1::2], other, atol=1e-5, rtol=1e-4)


def test_the_student_needs_only_what_the_robot_senses():
    agent, observations = built(), Bandit().observe(5)
    action = agent.policy(observations, "student")
    assert torch.equal(agent.policy(observations.select("policy"), "student"), action)


def test_an_unknown_actor_is_reported():
    with pytest.raises(MtrackError, match="no actor 'expert'"):
        built().actor("expert")


def test_a_missing_observation_group_is_reported_with_the_remedy():
    with pytest.raises(MtrackError, match=r"group 'critic_priv'[\s\S]*\[observations.critic_priv"):
        TeacherStudent().build(layout(observations={"policy": 7, "priv": 4}))


def test_the_default_standard_deviations_follow_joint_names_and_fit_any_robot():
    names = ("left_hip_yaw_joint", "waist_roll_joint", "right_elbow_joint", "wheel")
    assert initial_std(TeacherStudent().init_std, names).tolist() == pytest.approx([1.5, 1.5, 1.2, 1.0])


def test_the_last_matching_pattern_gives_the_standard_deviation():
    std = initial_std({".*": 0.4, ".*_hip": 0.6, "left_.*": 0.5}, NAMES)
    assert std.tolist() == pytest.approx([0.5, 0.6, 0.4, 0.4])
    assert initial_std(0.3, NAMES).tolist() == pytest.approx([0.3] * 4)


def test_a_pattern_that_matches_nothing_is_rejected():
    with pytest.raises(MtrackError, match="did you mean 'left_hip'"):
        initial_std({"left_hib": 0.5}, NAMES)


def test_a_standard_deviation_of_zero_is_rejected():
    with pytest.raises(ValueError, match=r"must be greater than 0 and at most 100, not 0\.0"):
        TeacherStudent(init_std=0.0)


def test_value_normalisation_is_undone_by_the_value():
    agent = built(value_normalisation=True)
    returns = torch.linspace(20.0, 60.0, 500)
    agent.return_normaliser.learn(returns)
    target = agent.value_target(returns)
    assert (float(target.mean()), float(target.std())) == pytest.approx((0.0, 1.0), abs=0.01)
    inputs = agent.network_inputs(Bandit().observe(6), torch.float32)
    mean, std = agent.return_normaliser.moments()
    torch.testing.assert_close(agent.value_target(agent.value(inputs)), agent.raw_value(inputs), atol=1e-4, rtol=0)
    assert (float(mean), float(std)) == pytest.approx((40.0, 40.0 / 12**0.5), rel=0.01)
