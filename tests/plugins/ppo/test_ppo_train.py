"""The phase `train` as a whole: it learns, is reproducible, resumes, and skips steps that are not finite."""

from __future__ import annotations

import pytest
import torch
from ppo_bandit import SMALL, Bandit, layout, make, network_parameters, parameters, saved

from mtrack import MtrackError, Schedule
from mtrack.loop.state import load_component_state
from mtrack_ppo.agent import TeacherStudent
from mtrack_ppo.train import Train


@pytest.mark.parametrize("precision", ["none", "bfloat16"])
def test_the_teacher_learns_the_task_and_the_estimator_its_features(precision: str):
    agent, phase = make({"init_std": 0.5}, autocast=precision, lr=3e-3, gamma=0.0)
    bandit = Bandit()
    before = bandit.score(agent)
    losses = [phase.update(bandit.roll(phase), iteration / 10)["loss/estimator"] for iteration in range(10)]
    assert before < 0.82
    assert bandit.score(agent) > 0.97
    assert losses[-1] < 0.5 * losses[0]


def train(iterations: int) -> tuple[TeacherStudent, Train, Bandit]:
    agent, phase = make(autocast="bfloat16")
    bandit = Bandit()
    for iteration in range(iterations):
        phase.update(bandit.roll(phase), 0.5 + iteration / 100)
    return agent, phase, bandit


def test_the_same_seed_gives_the_same_bytes():
    assert torch.equal(parameters(train(3)[0]), parameters(train(3)[0]))


def test_resume_reproduces_an_uninterrupted_run():
    agent, phase, bandit = train(2)
    state = saved(agent, phase)
    now, rng_state = bandit.now.clone(), bandit.generator.get_state()
    phase.update(bandit.roll(phase), 0.6)

    resumed, again = make(autocast="bfloat16")
    load_component_state(resumed, state["agent"], "agent")
    load_component_state(again, state["phase"], "phase")
    generator = torch.Generator()
    generator.set_state(rng_state)
    again.update(Bandit(generator, now).roll(again), 0.6)
    assert torch.equal(parameters(agent), parameters(resumed))
    assert phase.learning_rate == again.learning_rate


@pytest.mark.parametrize("precision", ["none", "bfloat16"])
def test_an_update_starts_from_the_policy_that_acted(precision: str):
    _, phase = make(autocast=precision, epochs=1, minibatches=1)
    bandit = Bandit()
    for _ in range(2):
        metrics = phase.update(bandit.roll(phase), 0.0)
        assert metrics["policy/kl"] == pytest.approx(0.0, abs=1e-5)
        assert metrics["policy/clip_fraction"] == 0.0


def test_observation_statistics_change_only_at_the_end_of_an_update():
    agent, phase = make()
    bandit, counts = Bandit(), []
    for _ in range(2):
        rollout = bandit.roll(phase)
        counts.append(float(agent.normalisers["policy"].count))
        phase.update(rollout, 0.0)
    assert counts == [64, 64 + 64 * 8]  # the very first rollout uses the statistics of its first observations


def test_a_reward_that_is_not_finite_skips_the_steps_and_is_counted():
    agent, phase = make(estimator_epochs=0)
    bandit = Bandit()
    phase.update(bandit.roll(phase), 0.0)
    before = network_parameters(agent)
    rollout = bandit.roll(phase)
    rollout.data["next", "reward"][5, 3] = torch.nan
    assert phase.update(rollout, 0.5)["update/skipped"] == 1.0  # the share of its 2 x 4 steps
    assert torch.equal(network_parameters(agent), before)
    assert phase.learning_rate == phase.lr
    assert phase.update(bandit.roll(phase), 0.0)["update/skipped"] == 0.0
    assert parameters(agent).isfinite().all()


def test_a_sample_of_weight_zero_does_not_affect_the_update():
    results = []
    for poison in (0.0, torch.nan):
        agent, phase = make()
        rollout = Bandit().roll(phase)
        rollout.data["_weight"][5, 3] = 0.0
        rollout.data["action"][5, 3] = poison
        rollout.data["network_inputs"][5, 3] = poison
        metrics = phase.update(rollout, 0.0)
        assert metrics["update/skipped"] == 0.0
        results.append(parameters(agent))
    assert torch.equal(*results)


def test_standard_deviations_never_exceed_their_initial_value():
    agent, phase = make(entropy=Schedule.constant(10.0))
    bandit = Bandit()
    for _ in range(2):
        phase.update(bandit.roll(phase), 0.0)
    assert torch.equal(agent.actor_teacher.std, agent.actor_teacher.std_limit)


def test_mirror_losses_make_the_policy_symmetric():
    errors = {}
    for coefficient in (0.0, 20.0):
        _, phase = make(mirror_mean_coef=coefficient, lr=3e-3)
        bandit = Bandit()
        errors[coefficient] = [phase.update(bandit.roll(phase), 0.0) for _ in range(6)][-1]
    for name in ("mirror/error", "mirror/relative_error"):
        assert errors[20.0][name] < 0.5 * errors[0.0][name]


def test_the_teachers_features_are_pulled_towards_the_students_predictions():
    gaps = {}
    for coefficient in (0.0, 50.0):
        _, phase = make(reg_coef=coefficient, lr=3e-3, estimator_epochs=0)
        bandit = Bandit()
        gaps[coefficient] = [phase.update(bandit.roll(phase), 0.9)["loss/reg"] for _ in range(5)][-1]
    assert gaps[50.0] < 0.5 * gaps[0.0]


def test_the_learning_rate_adapts_to_the_kl_divergence_only_after_kl_start():
    _, phase = make(lr=1e-5, lr_min=1e-6)
    bandit = Bandit()
    phase.update(bandit.roll(phase), 0.05)
    assert phase.learning_rate == 1e-5
    phase.update(bandit.roll(phase), 0.1)
    assert phase.learning_rate == pytest.approx(1.1e-5)
    phase.update(bandit.roll(phase), 0.1)
    assert phase.actor_adam.param_groups[0]["lr"] == phase.encoder_adam.param_groups[0]["lr"] == pytest.approx(1.1e-5)
    assert phase.critic_adam.param_groups[0]["lr"] == 1e-5


def test_negative_rewards_are_clamped_and_reported():
    returns = []
    for clamp in (True, False):
        _, phase = make(clamp_reward_at_zero=clamp)
        rollout = Bandit().roll(phase)
        rollout.data["next", "reward"][:] = -1.0
        metrics = phase.update(rollout, 0.0)
        assert metrics["update/clamped_rewards"] == 1.0
        returns.append(metrics["loss/value"])
    assert returns[0] < 0.5 * returns[1]


def test_with_value_normalisation_the_critic_learns_targets_of_unit_scale():
    _, phase = make({"value_normalisation": True})
    rollout = Bandit().roll(phase)
    rollout.data["next", "reward"][:] *= 1000.0
    assert phase.update(rollout, 0.0)["loss/value"] < 2.0


def test_the_student_does_not_change():
    agent, phase = make()
    before = [parameter.detach().clone() for parameter in agent.actor_student.parameters()]
    phase.update(Bandit().roll(phase), 0.5)
    assert all(torch.equal(a, b) for a, b in zip(before, agent.actor_student.parameters(), strict=True))


def test_it_learns_without_mirrors_if_mirror_is_false():
    agent = TeacherStudent(**SMALL)
    bare = layout(mirrors={"policy": None, "priv": None, "critic_priv": None}, action_mirror=None)
    agent.build(bare)
    phase = Train(mirror=False, epochs=1, minibatches=2)
    phase.enter(agent, bare, None)
    metrics = phase.update(Bandit().roll(phase), 0.0)
    assert metrics["update/skipped"] == 0.0
    assert "mirror/error" not in metrics


def test_a_group_without_a_mirror_is_reported():
    agent = TeacherStudent(**SMALL)
    bare = layout(mirrors={**layout().mirrors, "priv": None})
    agent.build(bare)
    with pytest.raises(MtrackError, match="'priv' has no mirror: set mirror = false"):
        Train().enter(agent, bare, None)


def test_it_cannot_follow_another_phase():
    agent = TeacherStudent(**SMALL)
    agent.build(layout())
    Train().enter(agent, layout(), "train")
    with pytest.raises(MtrackError, match="it follows 'adapt'"):
        Train().enter(agent, layout(), "adapt")
