"""The environment loop on the toy task: order of calls, resets, diverged environments, rewards."""

import copy

import attrs
import pytest
import torch

from mtrack.loop.env import LifecycleCalls, TerminationTerm
from mtrack.loop.snapshot import env_state, load_env_state
from mtrack.loop.statistics import EpisodeStatistics
from mtrack_testing import OrderTracker
from mtrack_testing import small_task as task

MANY = "num_envs=6"


class Always:
    """A termination that ends every environment in every step."""

    timeout = False

    def __call__(self, scene):
        return torch.ones(scene.num_envs, dtype=torch.bool)


def record(env) -> list[str]:
    for field in attrs.fields(LifecycleCalls):
        getattr(env.calls, field.name).append(lambda *arguments: None)
    return OrderTracker(env).seen


def calls_of(seen: list[str]) -> list[str]:
    """Return the calls without single observation terms and without the names of rewards."""
    return [entry.partition(" ")[0] for entry in seen if not entry.startswith("observation ")]


def test_a_step_calls_its_parts_in_order():
    env = task("toy", MANY).env
    seen = record(env)
    env.step(torch.zeros(6, 2))
    substep = ["before_substep", "action.target", "backend.step", "after_substep"]
    assert calls_of(seen) == [
        "before_step", "action.apply", *substep, *substep, "backend.refresh", "command.advance", "reward",
        "command.finished", "observer.observe",
    ]  # fmt: skip


def test_final_observations_come_before_the_reset_and_new_observations_after_it():
    env = task("toy", MANY, "command.steps=1").env
    seen = record(env)
    env.step(torch.zeros(6, 2))
    after = calls_of(seen[seen.index("command.finished") + 1 :])
    assert after == [
        "observer.final_observations", "randomize", "command.reset", "backend.set_state", "action.reset",
        "backend.forward", "backend.refresh", "reset", "observer.observe",
    ]  # fmt: skip


def test_a_perfect_policy_earns_the_known_optimum_from_the_first_step():
    env = task("toy", MANY).env
    for _ in range(3):
        error = env.scene.reference.joint_pos - env.scene.robot.joint_pos
        # two substeps with a response of 0.5 cover 3/4 of the error
        step = env.step(env.scene.robot.joint_pos + error / 0.75)
        torch.testing.assert_close(step.reward, torch.full((6, 1), env.scene.dt), rtol=0, atol=1e-6)


def test_the_first_observation_after_a_reset_shows_the_new_state():
    env = task("toy", MANY, "command.steps=1").env
    step = env.step(torch.ones(6, 2))
    fresh = torch.cat([term.component(env.scene) for term in env.observer.groups["policy"]], dim=-1)
    assert torch.equal(step.observations["policy"], fresh)
    assert step.observations["policy"].abs().sum() > 0


def test_a_truncated_environment_returns_its_final_observation():
    env = task("toy", MANY, "command.steps=1").env
    target = env.scene.reference.joint_pos.clone()
    step = env.step(torch.ones(6, 2))
    assert step.truncated.all()
    assert not step.terminated.any()
    torch.testing.assert_close(step.final["policy"][:, :2], target - 0.75)


def test_resetting_one_environment_does_not_change_the_others():
    first, second = task("toy", MANY), task("toy", MANY)
    for assembly in (first, second):
        assembly.env.step(torch.ones(6, 2))
    second.env._reset(torch.tensor([2]), torch.tensor([False]))
    for name in ("joint_pos", "joint_vel", "joint_target"):
        one, two = getattr(first.env.scene.robot, name), getattr(second.env.scene.robot, name)
        assert torch.equal(one[[0, 1, 3, 4, 5]], two[[0, 1, 3, 4, 5]])
    assert second.env.scene.episode_step.tolist() == [1, 1, 0, 1, 1, 1]


def test_a_restart_ends_only_the_given_episodes_and_repeats_no_startup_call():
    first, second = task("toy", MANY).env, task("toy", MANY).env
    started = []
    second.calls.startup.append(lambda: started.append(True))
    for env in (first, second):
        env.step(torch.ones(6, 2))
    held = second.observations["policy"].clone()
    seen, others = second.restart(torch.tensor([2, 4])), [0, 1, 3, 5]
    assert seen is second.observations
    assert not started
    assert second.scene.episode_step.tolist() == [1, 1, 0, 1, 0, 1]
    assert second.statistics.episode_return[[2, 4]].tolist() == [0.0, 0.0]
    assert torch.equal(seen["policy"][others], held[others])
    assert not torch.equal(seen["policy"][[2, 4]], held[[2, 4]])
    for env in (first, second):
        env.step(torch.ones(6, 2))
    assert torch.equal(first.observations["policy"][others], second.observations["policy"][others])


@pytest.mark.parametrize("grace", [0, 1, 5])
def test_grace_steps_protect_exactly_the_first_control_steps(grace):
    env = task("toy", MANY).env
    env.terminations = [TerminationTerm("always", Always(), grace)]
    env.statistics = EpisodeStatistics(6, ["toy/r"], ["toy"], ["always", "diverged"], "cpu")
    ended = [env.step(torch.zeros(6, 2)).terminated.tolist() for _ in range(grace + 1)]
    assert ended == [[False] * 6] * grace + [[True] * 6]
    # the same in the next episode
    ended = [env.step(torch.zeros(6, 2)).terminated.any().item() for _ in range(grace + 1)]
    assert ended == [False] * grace + [True]


def test_a_diverged_environment_is_reset_and_not_learnt_from_and_the_others_continue():
    reported: list[int] = []
    diverged, sound = task("toy", MANY), task("toy", MANY)
    diverged.env.report_diverged = lambda env_ids, rewards: reported.extend(env_ids.tolist())
    action = torch.ones(6, 2)
    expected = sound.env.step(action)
    diverged.env.backend.joint_pos[3] = torch.nan
    step = diverged.env.step(action)
    assert reported == [3]
    assert step.terminated.tolist() == [False, False, False, True, False, False]
    assert step.weight.tolist() == [1, 1, 1, 0, 1, 1]
    assert torch.isfinite(step.observations["policy"]).all()
    assert step.reward[3].item() == 0.0
    others = [0, 1, 2, 4, 5]
    assert torch.equal(step.reward[others], expected.reward[others])
    assert torch.equal(step.observations["policy"][others], expected.observations["policy"][others])


def test_a_reward_that_is_not_finite_affects_no_other_environment():
    env = task("toy", MANY).env
    good = env.rewards[0].component

    def bad(scene):
        value = good(scene)
        value[1] = torch.inf
        return value

    env.rewards[0] = type(env.rewards[0])("r", "toy", bad, 1.0)
    step = env.step(torch.ones(6, 2))
    assert torch.isfinite(step.reward).all()
    assert step.terminated.tolist() == [False, True, False, False, False, False]


def test_a_group_scale_follows_progress():
    env = task("toy", MANY, "reward_groups.toy.scale={from=0.5, to=1.0}").env
    ratios = []
    for progress in (0.0, 0.5):
        env.set_progress(progress)
        step = env.step(torch.zeros(6, 2))
        raw = env.rewards[0].component(env.scene)
        ratios.append((step.reward[:, 0] / raw).mean().item() / env.scene.dt)
    assert ratios == pytest.approx([0.5, 0.75])


def test_statistics_contain_length_and_completion_of_ended_episodes():
    env = task("toy", MANY, "command.steps=3").env
    for _ in range(6):
        env.step(torch.zeros(6, 2))
    values = env.statistics.read()
    assert values["episode/count"] == 12
    assert values["episode/length"] == 3
    assert values["episode/completed"] == 1
    assert env.statistics.read()["episode/count"] == 0


def test_logged_reward_terms_add_up_to_their_group_even_if_its_scale_changes():
    second = ("rewards.toy.still.use=joint_vel_l2", "rewards.toy.still.weight=0.5")
    env = task("toy", MANY, *second, "rewards.toy.closeness.weight=3", "reward_groups.toy.scale={from=0.5, to=1.0}").env
    earned, raw = torch.zeros(()), torch.zeros(2)
    for progress in (0.0, 0.0, 0.5):
        env.set_progress(progress)
        earned += env.step(torch.ones(6, 2)).reward.mean() / 3
        raw += torch.stack([term.component(env.scene).mean() for term in env.rewards]) / 3
    values = env.statistics.read()
    terms = [values[f"reward/toy/{name}"] for name in ("closeness", "still")]
    assert values["reward/toy"] == pytest.approx(earned.item())
    assert sum(terms) == pytest.approx(values["reward/toy"])
    assert min(map(abs, terms)) > 0
    assert [values[f"reward_raw/toy/{name}"] for name in ("closeness", "still")] == pytest.approx(raw.tolist())


def test_a_restored_environment_repeats_the_same_steps():
    assembly = task("toy", MANY, "command.steps=4")
    env = assembly.env
    actions = torch.randn(12, 6, 2, generator=torch.Generator().manual_seed(0))
    for action in actions[:5]:
        env.step(action)
    saved = copy.deepcopy(env_state(assembly))
    first = [env.step(action) for action in actions[5:]]
    load_env_state(assembly, saved)
    second = [env.step(action) for action in actions[5:]]
    for one, two in zip(first, second, strict=True):
        assert torch.equal(one.reward, two.reward)
        assert all(torch.equal(value, two.observations[group]) for group, value in one.observations.items())
