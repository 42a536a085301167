"""A checked recipe has typed slots, and the keys of the kernel are validated."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.checking import NEAR, Check, problem, problems
from support.fakes import RECIPE

from mtrack import RecipeError, Schedule
from mtrack_testing import install


def test_a_recipe_has_its_values_and_defaults_for_the_rest(check: Check) -> None:
    recipe = check()
    assert (recipe.seed, recipe.num_envs, recipe.device, recipe.control_dt, recipe.physics_dt) == (
        3,
        256,
        "auto",
        0.02,
        0.005,
    )
    assert (recipe.max_episode_steps, recipe.run.checkpoint_every, recipe.run.keep) == (1000, 50, 3)
    near = recipe.rewards["task"]["near"]
    assert (near.path, near.kind, near.use, near.weight) == (NEAR, "reward", "fake_reward", 0.5)
    assert (near.params["sigma"], near.params["count"], near.params["gains"]) == (0.2, 8, {})
    assert recipe.observations["policy"]["one"].history == ()
    assert recipe.terminations["fall"].grace_steps == 0
    assert (recipe.phases["train"].frames, recipe.phases["train"].train_every) == (1000, 32)
    assert recipe.reward_groups["task"].scale == Schedule.constant(1.0)


def test_a_slot_builds_a_new_component_in_each_call(check: Check) -> None:
    slot = check().rewards["task"]["near"]
    assert slot.build() is not slot.build()
    assert slot.build().sigma == 0.2


def test_use_defaults_to_the_slot_name(check: Check) -> None:
    assert check("[rewards.task.fake_reward]\n").rewards["task"]["fake_reward"].use == "fake_reward"


def test_a_component_can_be_named_with_its_distribution(check: Check) -> None:
    slot = check("", f"{NEAR}.use=fake-parts:fake_reward").rewards["task"]["near"]
    assert (slot.use, slot.entry.name) == ("fake-parts:fake_reward", "fake_reward")


KERNEL_KEYS = {
    "seed=-1": "must be >= 0",
    "seed=1.0": "expected an integer",
    "num_envs=inf": "expected an integer",
    "max_episode_steps=99999999999999999999": "at most 64 bits",
    "physics_dt=1e-320": "multiple of physics_dt",
    "num_envs=0": "must be > 0",
    "device=gpu": '"cuda:1"',
    "control_dt=0.012": "multiple of physics_dt",
    "physics_dt=0.05": "multiple of physics_dt",
    "max_episode_steps=0": "must be > 0",
    "run.keep=0": "must be > 0",
    "run.kep=1": "did you mean 'keep'",
    "run=1": "expected a table",
    "sed=1": "did you mean 'seed'",
    "rewards.task.near.weight=true": "expected a number",
    "rewards.task.near.enabled=1": "expected true or false",
    "rewards.task.near.use=1": "expected the name of a reward",
    "rewards.near=1": r"\[rewards\.<group>\.<slot>\]",
    "reward_groups.tsk.scale=1": "did you mean 'task'",
    "reward_groups.task.scal=1": "did you mean 'scale'",
    "observations.policy.one.noise=-1": "must be >= 0",
    "observations.policy.one.history=[0, 0]": "different numbers of steps",
    "observations.policy.one.history=[-1]": "different numbers of steps",
    "terminations.fall.grace_steps=-1": "must be >= 0",
    "motions.clips.weight=0": "must be > 0",
    "phases.train.frames=0": "must be > 0",
    "phases.train.train_every=0": "must be > 0",
    "robot.enabled=true": "unknown parameter 'enabled'",
    'rewards."a b".c.weight=1': "letters, digits, _ and -",
}


@pytest.mark.parametrize(("override", "message"), KERNEL_KEYS.items())
def test_an_invalid_key_of_the_kernel_is_rejected(check: Check, override: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        check("", override)
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("table", ["robot", "command", "action", "agent"])
def test_a_missing_table_is_reported_with_the_installed_components(check: Check, table: str) -> None:
    found = problem(check, whole=RECIPE.replace(f'[{table}]\nuse = "fake_{table}"\n', ""))
    assert found.path == table
    assert f"fake_{table}" in found.hint


def test_a_recipe_without_phases_or_observations_is_rejected(check: Check) -> None:
    phases = RECIPE.index("[phases")
    found = problems(check, whole=RECIPE[:phases].replace('[observations.policy.one]\nuse = "fake_observation"\n', ""))
    assert [one.path for one in found] == ["observations", "phases"]


def test_a_missing_parameter_is_reported_at_its_slot(check: Check) -> None:
    found = problem(check, "[rewards.task.slip]\nuse = 'fake_slip'\n")
    assert (found.path, found.line) == ("rewards.task.slip.bodies", 26)
    assert found.message == "missing: bodies (tuple[str, ...])"


def test_a_plugin_that_cannot_be_imported_is_one_problem_of_the_report(check: Check, site: Path) -> None:
    install(site, "acme", {"mtrack.rewards": {"bad": "acme_bad:Bad"}}, {"acme_bad.py": "raise SystemExit(0)"})
    found = problem(check, "[rewards.task.bad]\n")
    assert found.message.startswith("reward 'bad' (acme 1.0) cannot be imported: SystemExit")


def test_mtrack_chooses_a_backend_if_the_recipe_does_not(check: Check) -> None:
    recipe = check(whole=RECIPE.replace('[backend]\nuse = "fake_backend"\n', ""))
    assert (recipe.backend.use, recipe.backend.entry.name) == ("auto", "mujoco")
