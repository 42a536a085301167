"""Parameters of an absurd size, with which no run could learn, are rejected before it starts."""

from __future__ import annotations

import pytest

from mtrack import RecipeError
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.registry.registry import Registry


@pytest.mark.parametrize(
    "path",
    [
        "rewards.toy.closeness.weight",
        "reward_groups.toy.scale",
        "phases.train.lr",
        "phases.train.lr_max",
        "agent.init_std",
        "action.scale",
        "action.effort_factor",
    ],
)
def test_a_value_of_1e30_is_rejected_with_its_path(path: str) -> None:
    with pytest.raises(RecipeError) as caught:
        check_recipe(read_recipe("toy", [f"{path}=1e30"]), Registry.scan())
    (problem,) = caught.value.problems
    assert problem.path == path
    assert any(words in problem.message for words in ("at most", "up to", "<="))


def test_the_largest_values_and_negative_weights_are_accepted() -> None:
    settings = ["rewards.toy.closeness.weight=-1e6", "phases.train.lr=1.0", "agent.init_std=100.0", "action.scale=100"]
    check_recipe(read_recipe("toy", settings), Registry.scan())
