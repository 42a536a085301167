"""Phases change keys for themselves alone, and wrong changes are found before a run begins."""

from __future__ import annotations

import pytest
from support.checking import Check, problem


def test_a_phase_changes_keys_for_itself_alone(check: Check) -> None:
    recipe = check('set = { "rewards.task.near.weight" = 2, "command.target" = "sliding", num_envs = 8 }\n')
    phase = recipe.for_phase("train")
    assert (phase.rewards["task"]["near"].weight, phase.command.params["target"], phase.num_envs) == (2.0, "sliding", 8)
    assert (recipe.rewards["task"]["near"].weight, recipe.num_envs) == (0.5, 256)
    assert phase.source.origin("num_envs") == ("my.toml", 26)


def test_a_phase_may_enable_what_the_recipe_keeps_ready(check: Check) -> None:
    recipe = check(
        'set = { "rewards.task.far.enabled" = true }\n[rewards.task.far]\nuse = "fake_reward"\nenabled = false\n'
    )
    assert "far" not in recipe.rewards["task"]
    assert "far" in recipe.for_phase("train").rewards["task"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('"rewards.task.nea.weight" = 1', "there is no 'rewards.task.nea' for a phase to change; did you mean 'near'"),
        ('"rewards.task.near.wieght" = 1', "unknown parameter 'wieght'"),
        ('"rewards.task.near.weight" = "1"', "expected a number"),
        ('"agent.use" = "x"', "'agent' is the same in all phases"),
        ("seed = 1", "'seed' is the same in all phases"),
        ('"a..b" = 1', "not a dotted key"),
    ],
)
def test_a_wrong_change_is_found_before_the_phase_begins(check: Check, change: str, message: str) -> None:
    flaw = problem(check, f"set = {{ {change} }}\n")
    assert message in f"{flaw.message}; {flaw.hint}"
    assert flaw.path.startswith("phases.train.set.")
    assert (flaw.source, flaw.line) == ("my.toml", 26)
