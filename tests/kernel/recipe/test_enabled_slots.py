"""A disabled slot is enabled by the next layer that names it, unless that has `enabled = false`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.checking import Check, problem

from mtrack import Recipe, RecipeError
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.recipe.source import Layer
from mtrack.registry.registry import Registry
from mtrack_testing import install

FAR = "rewards.task.far"
Layered = Callable[..., Recipe]
BASE = """
[rewards.task.far]
use = "fake_reward"
enabled = false
weight = 0.25
sigma = 0.7
"""


@pytest.fixture
def layered(check: Check, tmp_path: Path) -> Layered:
    """Return a function that checks a recipe of files over BASE: `layered(text, text, ..., overrides=())`."""

    def checked(*texts: str, overrides: tuple[str, ...] = ()) -> Recipe:
        check(BASE)  # writes my.toml
        name = "my.toml"
        for number, text in enumerate(texts):
            file = tmp_path / f"layer{number}.toml"
            file.write_text(f'extends = "{name}"\n{text}', "utf-8")
            name = file.name
        return check_recipe(read_recipe(name, overrides), Registry.scan())

    return checked


def is_enabled(recipe: Recipe) -> bool:
    return "far" in recipe.rewards["task"]


ENABLING = {
    "[rewards.task.far]": True,
    "[rewards.task.far]\nweight = 0.5": True,
    "[rewards.task.far]\nenabled = true": True,
    "[rewards.task]\nfar = {}": True,
    "[rewards.task.far]\nenabled = false\nweight = 0.5": False,
    "[rewards.task]": False,
    "[rewards]": False,
    "[rewards.task.near]\nweight = 3": False,
    "": False,
}


@pytest.mark.parametrize(("text", "expected"), ENABLING.items())
def test_a_later_file_that_names_a_disabled_slot_enables_it(layered: Layered, text: str, expected: bool) -> None:
    assert is_enabled(layered(text)) is expected


def test_an_enabled_slot_keeps_the_values_of_the_base(layered: Layered) -> None:
    slot = layered("[rewards.task.far]").rewards["task"]["far"]
    assert (slot.weight, slot.params["sigma"]) == (0.25, 0.7)


def test_the_last_file_that_names_a_slot_decides(layered: Layered) -> None:
    off, on = "[rewards.task.far]\nenabled = false", "[rewards.task.far]"
    assert is_enabled(layered(on, "num_envs = 2"))
    assert not is_enabled(layered(on, off))
    assert is_enabled(layered(on, off, "[rewards.task.far]\nsigma = 1"))


OVERRIDES = {
    ("rewards.task.far.weight=1",): True,
    ("rewards.task.far={}",): True,
    ("rewards.task.near.weight=1",): False,
    ("rewards.task.far.enabled=false",): False,
    ("rewards.task.far.enabled=false", "rewards.task.far.weight=1"): False,
    ("rewards.task.far.weight=1", "rewards.task.far.enabled=false"): False,
}


@pytest.mark.parametrize(("overrides", "expected"), OVERRIDES.items())
def test_all_overrides_of_a_command_line_decide_together(
    layered: Layered, overrides: tuple[str, ...], expected: bool
) -> None:
    assert is_enabled(layered(overrides=overrides)) is expected
    wanted = expected or all(text.partition("=")[0] != f"{FAR}.enabled" for text in overrides)
    assert is_enabled(layered("[rewards.task.far]", overrides=overrides)) is wanted


def test_the_set_of_a_phase_enables_a_slot_in_that_phase_alone(layered: Layered) -> None:
    recipe = layered("[phases.train.set]\n'rewards.task.far.weight' = 2")
    assert not is_enabled(recipe)
    assert recipe.for_phase("train").rewards["task"]["far"].weight == 2.0
    disabled = "[phases.train.set]\n'rewards.task.far.weight' = 2\n'rewards.task.far.enabled' = false"
    assert not is_enabled(layered(disabled).for_phase("train"))
    group = layered("[phases.train.set]\n'rewards.task' = { far = { sigma = 2 } }")
    assert group.for_phase("train").rewards["task"]["far"].params["sigma"] == 2.0


def test_a_slot_that_a_later_layer_disables_stays_disabled_in_a_phase_that_changes_it(layered: Layered) -> None:
    changed = "[rewards.task.far]\n[phases.train.set]\n'rewards.task.far.weight' = 2"
    assert is_enabled(layered(changed).for_phase("train"))
    for recipe in (
        layered(changed, overrides=(f"{FAR}.enabled=false",)),
        layered(changed, "[rewards.task.far]\nenabled = false"),
    ):
        assert not is_enabled(recipe.for_phase("train"))
        assert not is_enabled(again(recipe).for_phase("train"))


def again(recipe: Recipe) -> Recipe:
    """Return the recipe that is loaded from its own resolved text."""
    Path("again.toml").write_text(recipe.resolved_toml(), "utf-8")
    return check_recipe(read_recipe("again.toml"), Registry.scan())


@pytest.mark.parametrize(
    "text",
    [
        "[phases.train.set]\n'rewards.task.far.weight' = 2",
        "[phases.train.set]\n'rewards.task.far' = {}",
        "[phases.train.set]\n'rewards.task' = { far = { sigma = 2 } }",
        "[phases.train.set]\n'rewards.task.far.enabled' = false",
        "[rewards.task.far]\n[phases.train.set]\n'rewards.task.near.enabled' = false",
        "[rewards.task.far]",
    ],
)
def test_the_resolved_text_enables_the_same_slots_in_the_same_phases(layered: Layered, text: str) -> None:
    recipe = layered(text)
    same = again(recipe)
    assert same.table() == recipe.table()
    assert same.rewards == recipe.rewards
    assert same.for_phase("train").rewards == recipe.for_phase("train").rewards


def test_a_layer_on_top_of_a_phase_can_disable_a_slot(layered: Layered) -> None:
    recipe = layered("[phases.train.set]\n'rewards.task.far.weight' = 2").for_phase("train")
    off = Layer("top", {"rewards": {"task": {"far": {"enabled": False}}}}, Path())
    assert not is_enabled(check_recipe(recipe.source.with_layers([off]), Registry.scan()))


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        ("use = 'missing_reward'", "rewards.task.gone.use", "no reward named 'missing_reward'"),
        ("use = 'fake_reward'\nsigmaa = 1", "rewards.task.gone.sigmaa", "unknown parameter 'sigmaa'"),
        ("use = 'fake_reward'\nsigma = '1'", "rewards.task.gone.sigma", "expected a number"),
        ("use = 'fake_reward'\nweight = true", "rewards.task.gone.weight", "expected a number"),
    ],
)
def test_values_of_a_disabled_slot_are_checked(check: Check, text: str, path: str, message: str) -> None:
    found = problem(check, f"[rewards.task.gone]\nenabled = false\n{text}\n")
    assert (found.path, found.source) == (path, "my.toml")
    assert message in found.message


def test_a_disabled_slot_may_lack_required_parameters(check: Check) -> None:
    text = "[rewards.task.slip]\nuse = 'fake_slip'\nenabled = false\n"
    assert list(check(text).rewards["task"]) == ["near"]
    with pytest.raises(RecipeError, match="missing: bodies"):
        check(text, "rewards.task.slip.weight=2")


def test_a_disabled_component_need_not_be_importable(check: Check, site: Path) -> None:
    install(site, "acme", {"mtrack.rewards": {"bad": "acme_bad:Bad"}}, {"acme_bad.py": "import no_such_module"})
    assert list(check("[rewards.task.bad]\nenabled = false\n").rewards["task"]) == ["near"]
    with pytest.raises(RecipeError, match="cannot be imported"):
        check("[rewards.task.bad]\nenabled = false\n", "rewards.task.bad.weight=2")


def test_the_resolved_text_has_the_layer_that_enabled_a_slot(layered: Layered) -> None:
    text = layered("[rewards.task.far]").resolved_toml()
    assert 'use = "fake-parts:fake_reward"  # my.toml:28, enabled by layer0.toml:2\n' in text
    by_override = layered(overrides=(f"{FAR}.weight=1",)).resolved_toml()
    assert 'use = "fake-parts:fake_reward"  # my.toml:28, enabled by --set\n' in by_override
