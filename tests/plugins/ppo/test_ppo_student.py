"""The phases `adapt` and `finetune`: what they change, what they observe, and which phases they follow."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from ppo_bandit import Bandit, layout, make, parameters, saved
from tensordict import TensorDict

from mtrack import MtrackError
from mtrack.api.fields import params_of
from mtrack.loop.state import load_component_state
from mtrack_dev.describe import help_of
from mtrack_ppo.adapt import Adapt
from mtrack_ppo.agent import TeacherStudent
from mtrack_ppo.finetune import Finetune
from mtrack_ppo.train import Train

NETWORKS = {"encoder_priv", "adapt_module", "actor_teacher", "actor_student", "critic", "normalisers"}


def bytes_of(agent: TeacherStudent) -> dict[str, bytes]:
    """Return the parameters and buffers of each network and of the normalisers."""
    states = {name: getattr(agent, name).state_dict() for name in (*NETWORKS, "return_normaliser")}
    return {name: b"".join(value.numpy().tobytes() for value in state.values()) for name, state in states.items()}


def changed(agent: TeacherStudent, before: Mapping[str, bytes]) -> set[str]:
    return {name for name, values in bytes_of(agent).items() if values != before[name]}


def trained(iterations: int = 2, **settings: object) -> tuple[TeacherStudent, Bandit]:
    """Return an agent whose teacher has learned a little."""
    agent, phase = make({"init_std": 0.5}, lr=3e-3, gamma=0.0, **settings)
    bandit = Bandit()
    for iteration in range(iterations):
        phase.update(bandit.roll(phase), iteration / iterations)
    return agent, bandit


def entered(phase: Adapt | Finetune, agent: TeacherStudent, previous: str) -> Adapt | Finetune:
    phase.enter(agent, layout(), previous)
    return phase


def adapted() -> tuple[TeacherStudent, Bandit]:
    agent, bandit = trained()
    phase = entered(Adapt(minibatches=4, autocast="none"), agent, "train")
    phase.update(bandit.roll(phase), 0.0)
    return agent, bandit


def test_the_student_starts_as_a_copy_of_the_teacher():
    agent, _ = trained()
    before = bytes_of(agent)
    entered(Adapt(), agent, "train")
    assert changed(agent, before) == {"actor_student"}
    assert bytes_of(agent)["actor_student"] == bytes_of(agent)["actor_teacher"]


@pytest.mark.parametrize("previous", ["adapt", "finetune"])
def test_a_trained_student_is_not_overwritten(previous: str):
    agent, _ = trained()
    before = bytes_of(agent)
    entered(Adapt(), agent, previous)
    assert changed(agent, before) == set()


@pytest.mark.parametrize("precision", ["none", "bfloat16"])
def test_adapt_changes_only_the_adaptation_module(precision: str):
    agent, bandit = trained()
    phase = entered(Adapt(autocast=precision), agent, "train")
    before = bytes_of(agent)
    phase.update(bandit.roll(phase), 0.0)
    assert changed(agent, before) == {"adapt_module"}


@pytest.mark.parametrize("precision", ["none", "bfloat16"])
def test_finetune_changes_only_the_critic_during_its_warmup_and_then_the_student_too(precision: str):
    agent, bandit = adapted()
    phase = entered(Finetune(autocast=precision), agent, "adapt")
    before = bytes_of(agent)
    metrics = phase.update(bandit.roll(phase), 0.0249)
    assert changed(agent, before) == {"critic"}
    assert "policy/kl" not in metrics
    before = bytes_of(agent)
    metrics = phase.update(bandit.roll(phase), 0.025)
    assert changed(agent, before) == {"critic", "actor_student"}
    assert metrics["policy/kl"] > 0.0


def test_the_learning_rate_is_constant_during_the_critic_warmup():
    agent, bandit = adapted()
    phase = entered(Finetune(kl_start=0.0), agent, "adapt")
    phase.update(bandit.roll(phase), 0.0)
    assert phase.learning_rate == phase.lr


@pytest.mark.parametrize("phase", [Adapt(autocast="none"), Finetune(autocast="none")], ids=["adapt", "finetune"])
def test_the_students_action_does_not_depend_on_what_it_cannot_sense(phase: Adapt | Finetune):
    agent, bandit = adapted()
    entered(phase, agent, "adapt")
    plain = bandit.observe(20)
    other = TensorDict(dict(plain.items()) | {name: 1e3 + 7 * plain[name] for name in ("priv", "critic_priv")}, [20])
    rng_state = phase.rng.get_state()
    action = phase.act(plain)["action"]
    phase.rng.set_state(rng_state)
    assert torch.equal(phase.act(other)["action"], action)
    mean = agent.policy(plain, phase.actor)
    std = agent.actor_student.std
    assert ((action - mean) / std).abs().max() < 5.0, "the student must act"
    assert torch.equal(agent.policy(other, phase.actor), mean)


def test_an_update_of_the_student_starts_from_the_policy_that_acted():
    agent, bandit = adapted()
    phase = entered(Finetune(epochs=1, minibatches=1, autocast="none"), agent, "adapt")
    metrics = phase.update(bandit.roll(phase), 0.5)
    assert metrics["policy/kl"] == pytest.approx(0.0, abs=1e-5)
    assert metrics["policy/clip_fraction"] == 0.0
    assert "loss/reg" not in metrics


def test_adapt_records_only_what_it_learns_from():
    agent, bandit = trained()
    assert set(entered(Adapt(), agent, "train").act(bandit.observe(4)).keys()) == {"action", "network_inputs"}


def test_adapting_explains_the_features_and_brings_the_student_near_the_teacher():
    agent, bandit = trained(10, estimator_epochs=0)
    phase = entered(Adapt(autocast="none", lr=3e-3), agent, "train")
    before = bandit.score(agent, "student")
    metrics = [phase.update(bandit.roll(phase), iteration / 12) for iteration in range(12)]
    assert float(metrics[-1]["loss/estimator"]) < 0.5 * float(metrics[0]["loss/estimator"])
    first, last = (float(metrics[index]["adapt/explained_variance"]) for index in (0, -1))
    assert first < 0.4
    assert 0.6 < last < 1.0
    gap = bandit.score(agent, "teacher") - bandit.score(agent, "student")
    assert gap < 0.5 * (bandit.score(agent, "teacher") - before)


def test_finetuning_makes_the_student_better():
    agent, bandit = adapted()
    before = bandit.score(agent, "student")
    phase = entered(Finetune(autocast="none", gamma=0.0, lr=3e-3), agent, "adapt")
    for iteration in range(8):
        phase.update(bandit.roll(phase), iteration / 8)
    assert bandit.score(agent, "student") > before + 0.05


def test_the_features_of_mirror_images_are_learned_too():
    agent, bandit = trained()
    images = []
    for mirror in (True, False):
        phase = entered(Adapt(mirror=mirror, autocast="none"), agent, "train")
        seen: list[torch.Size] = []
        agent.adapt_module.register_forward_hook(lambda *_, seen=seen: seen.append(_[-1].shape))
        rollout = bandit.roll(phase)
        seen.clear()
        phase.update(rollout, 0.0)
        images.append(seen[0][0])
    assert images == [2 * 64, 64]  # 64 environments x 8 steps / 8 minibatches


def test_steps_that_are_not_finite_are_skipped_and_counted():
    agent, bandit = trained()
    phase = entered(Adapt(autocast="none"), agent, "train")
    rollout = bandit.roll(phase)
    rollout.data["network_inputs"][5, 3] = torch.nan
    assert (
        float(phase.update(rollout, 0.0)["update/skipped"]) == 1 / 8
    )  # one of 8 minibatches contains it, in each epoch
    assert parameters(agent).isfinite().all()
    rollout.data["_weight"][5, 3] = 0.0
    assert float(phase.update(rollout, 0.0)["update/skipped"]) == 0.0


@pytest.mark.parametrize("kind", [Adapt, Finetune])
def test_resume_reproduces_an_uninterrupted_run(kind: type[Adapt] | type[Finetune]):
    agent, bandit = adapted()
    phase = entered(kind(), agent, "adapt")
    phase.update(bandit.roll(phase), 0.5)
    state = saved(agent, phase)
    now, rng_state = bandit.now.clone(), bandit.generator.get_state()
    phase.update(bandit.roll(phase), 0.6)

    resumed, _ = make()
    again = entered(kind(), resumed, "adapt")
    load_component_state(resumed, state["agent"], "agent")
    load_component_state(again, state["phase"], "phase")
    generator = torch.Generator()
    generator.set_state(rng_state)
    again.update(Bandit(generator, now).roll(again), 0.6)
    assert torch.equal(parameters(agent), parameters(resumed))


@pytest.mark.parametrize(
    ("kind", "previous", "message"),
    [
        (Adapt, None, "phase 'adapt' must follow 'train' or 'adapt' or 'finetune', but it is first"),
        (Adapt, "imitate", "but it follows 'imitate'"),
        (Finetune, None, "phase 'finetune' must follow 'adapt' or 'finetune', but it is first"),
        (Finetune, "train", "but it follows 'train'. Add 'adapt' or 'finetune' before it, or .* --from RUN"),
    ],
)
def test_a_phase_rejects_an_order_that_it_cannot_follow(kind: type, previous: str | None, message: str):
    agent, _ = make()
    with pytest.raises(MtrackError, match=message):
        kind().enter(agent, layout(), previous)


def test_observations_of_other_widths_than_the_agents_are_rejected():
    agent, _ = make()
    wider = layout(observations={**layout().observations, "priv": 9})
    with pytest.raises(MtrackError, match="9 columns in observation group 'priv', but the agent was built for 4"):
        Adapt().enter(agent, wider, "train")


@pytest.mark.parametrize("kind", [Train, Adapt, Finetune])
def test_every_parameter_has_a_help_text(kind: type):
    texts = help_of(kind)
    assert [name for name in params_of(kind) if not texts.get(name)] == []
