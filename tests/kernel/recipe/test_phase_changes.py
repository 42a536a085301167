"""The changes of a phase apply only to that phase, and invalid ones are found before a run starts."""

from __future__ import annotations

import pytest
from support.checking import Check, problem


def test_the_changes_of_a_phase_apply_only_to_that_phase(check: Check) -> None:
    recipe = check('set = { "rewards.task.near.weight" = 2, "command.target" = "sliding", num_envs = 8 }\n')
    phase = recipe.for_phase("train")
    assert (phase.rewards["task"]["near"].weight, phase.command.params["target"], phase.num_envs) == (2.0, "sliding", 8)
    assert (recipe.rewards["task"]["near"].weight, recipe.num_envs) == (0.5, 256)
    assert phase.source.origin("num_envs") == ("my.toml", 26)


def test_a_phase_can_enable_a_disabled_slot(check: Check) -> None:
    recipe = check(
        'set = { "rewards.task.far.enabled" = true }\n[rewards.task.far]\nuse = "fake_reward"\nenabled = false\n'
    )
    assert "far" not in recipe.rewards["task"]
    assert "far" in recipe.for_phase("train").rewards["task"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            '"rewards.task.nea.weight" = 1',
            "there is no 'rewards.task.nea' that a phase could change; did you mean 'near'",
        ),
        ('"rewards.task.near.wieght" = 1', "unknown parameter 'wieght'"),
        ('"rewards.task.near.weight" = "1"', "expected a number"),
        ('"agent.use" = "x"', "a phase cannot set 'agent'"),
        ("seed = 1", "a phase cannot set 'seed'"),
        ('"a..b" = 1', "not a dotted key"),
    ],
)
def test_an_invalid_change_is_found_before_the_phase_starts(check: Check, change: str, message: str) -> None:
    found = problem(check, f"set = {{ {change} }}\n")
    assert message in f"{found.message}; {found.hint}"
    assert found.path.startswith("phases.train.set.")
    assert (found.source, found.line) == ("my.toml", 26)
