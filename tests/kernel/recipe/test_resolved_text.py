"""The resolved text of a recipe gives an equal recipe, and has the origin of each value."""

from __future__ import annotations

from pathlib import Path

from support.checking import Check

from mtrack import Recipe
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.registry.registry import Registry


def test_the_resolved_text_gives_an_equal_recipe_from_anywhere(check: Check, tmp_path: Path) -> None:
    recipe = check(
        'set = { "rewards.task.far.enabled" = true, "rewards.task.near.file" = "x/y", "motions.clips.path" = "o" }\n'
        "lr = { from = 1e-3, to = 1e-5, shape = 'exp' }\n"
        "[reward_groups.task]\nscale = { from = 0, to = 1 }\n"
        "[rewards.task.far]\nuse = 'fake_reward'\nenabled = false\nfile = 'a'\n"
        "[rewards.task.all]\nuse = 'fake-parts:fake_reward'\nscale = { arms = 1 }\npoint = { x = 2 }\n"
        "name = \"\"\"a 'quoted'\n# \\u007f \\\\ name\"\"\"\nnames = ['b\\\\', '\u2028']\nweights = [1e-300]\n",
        "run.keep=9",
    )
    other = tmp_path / "elsewhere" / "recipe.toml"
    other.parent.mkdir()
    other.write_text(recipe.resolved_toml(), "utf-8")
    again = check_recipe(read_recipe(other), Registry.scan())
    assert again.table() == recipe.table()
    assert attrs_without_set(again) == attrs_without_set(recipe)
    phase, same = recipe.for_phase("train"), again.for_phase("train")
    assert list(phase.rewards["task"]) == list(same.rewards["task"]) == ["near", "far", "all"]
    assert phase.rewards == same.rewards
    assert phase.motions == same.motions
    assert same.motions["clips"].params["path"] == tmp_path / "o"


def attrs_without_set(recipe: Recipe) -> list[object]:
    """Return what must be equal; paths in the `set` of a phase stay as they were written."""
    phase = recipe.phases["train"]
    parts = [recipe.rewards, recipe.reward_groups, recipe.motions, recipe.dormant, phase.params]
    return [recipe.seed, recipe.run, *parts]


def test_recipes_of_equal_content_are_equal(check: Check) -> None:
    assert check() == check("# a comment\n")
    assert check() != check("", "seed=4")


def test_the_resolved_text_has_the_origin_of_each_value(check: Check) -> None:
    text = check("", "num_envs=8").resolved_toml()
    assert "num_envs = 8  # --set\n" in text
    assert "sigma = 0.2  # my.toml:20\n" in text
    assert "keep = 3  # default\n" in text
