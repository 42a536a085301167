"""A name in a recipe keeps its meaning, whatever else is installed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from mtrack import NameProblem, Recipe, RecipeError
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.registry.registry import Registry, is_own
from mtrack.run.manifest import manifest, recipe_sha256
from mtrack_testing import install

REWARD = """
import torch
from mtrack import component, param

@component
class Mine:
    '''Has the name of another component.'''
    sigma: float = param(default=7.0)
    def __call__(self, scene):
        return torch.zeros(scene.num_envs)
"""
SLOT = "rewards.toy.closeness"


def install_clash(site: Path, distribution: str = "acme", names: Iterable[str] = ("toy_closeness",)) -> None:
    module = f"{distribution}_clash"
    points = dict.fromkeys(names, f"{module}:Mine")
    groups = ("rewards", "robots", "backends", "commands", "actions", "agents", "phases", "observations", "loggers")
    install(site, distribution, {f"mtrack.{group}": points for group in groups}, {f"{module}.py": REWARD})


def checked(name: str | Path, *overrides: str) -> Recipe:
    return check_recipe(read_recipe(name, overrides), Registry.scan())


def used(recipe: Recipe) -> dict[str, str]:
    return {slot.path: slot.entry.full_name for slot in recipe.slots()}


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def test_recipes_of_mtrack_use_its_own_components(site: Path) -> None:
    before = used(checked("toy"))
    install_clash(site, names={full.rpartition(":")[2] for full in before.values()} | {"mujoco", "mujoco_warp"})
    assert used(checked("toy")) == before


def test_a_slot_named_in_a_base_keeps_the_meaning_of_the_base(site: Path, tmp_path: Path) -> None:
    install_clash(site)
    mine = write(tmp_path / "my.toml", f'extends = "toy.toml"\n[{SLOT}]\nsigma = 0.25\n')
    slot = checked(mine, f"{SLOT}.weight=2").rewards["toy"]["closeness"]
    assert (slot.entry.full_name, slot.params["sigma"], slot.weight) == ("mtrack:toy_closeness", 0.25, 2.0)


@pytest.mark.parametrize(
    ("text", "overrides", "line"),
    [
        ("[rewards.toy.toy_closeness]\n", (), 2),
        ("[rewards.toy.mine]\nuse = 'toy_closeness'\n", (), 3),
        ("[rewards.toy.mine]\nweight = 1\n", ("rewards.toy.mine.use=toy_closeness",), None),
    ],
)
def test_an_ambiguous_name_in_your_own_recipe_is_an_error_with_all_options(
    site: Path, tmp_path: Path, text: str, overrides: tuple[str, ...], line: int | None
) -> None:
    install_clash(site)
    mine = write(tmp_path / "my.toml", 'extends = "toy.toml"\n' + text)
    with pytest.raises(RecipeError) as caught:
        checked(mine, *overrides)
    (problem,) = caught.value.problems
    assert 'use = "acme:toy_closeness" or "mtrack:toy_closeness"' in problem.message
    assert problem.line == line


def test_a_full_name_is_not_ambiguous(site: Path, tmp_path: Path) -> None:
    install_clash(site)
    mine = write(tmp_path / "my.toml", 'extends = "toy.toml"\n[rewards.toy.mine]\nuse = "acme:toy_closeness"\n')
    assert checked(mine).rewards["toy"]["mine"].params["sigma"] == 7.0


@pytest.mark.parametrize("is_editable", [False, True])
def test_a_recipe_that_another_distribution_ships_uses_its_own_components(
    site: Path, tmp_path: Path, is_editable: bool
) -> None:
    install_clash(site)
    folder = (tmp_path / "src" / "acme") if is_editable else (site / "share" / "acme")
    mine = write(folder / "recipes" / "acme.toml", 'extends = "toy.toml"\n[rewards.toy.toy_closeness]\n')
    info = site / "acme-1.0.dist-info"
    if is_editable:
        facts = {"url": folder.as_uri(), "dir_info": {"editable": True}}
        write(info / "direct_url.json", json.dumps(facts))
    else:
        write(info / "RECORD", "share/acme/recipes/acme.toml,,\n")
    found = checked(mine).rewards["toy"]
    assert [found[name].entry.distribution for name in ("closeness", "toy_closeness")] == ["mtrack", "acme"]
    extended = write(tmp_path / "my.toml", f'extends = "{mine}"\n[rewards.toy.toy_closeness]\nweight = 3\n')
    assert checked(extended).rewards["toy"]["toy_closeness"].entry.distribution == "acme"


def test_a_preferred_component_that_may_not_be_used_is_not_replaced_by_another(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("acme", "other"):
        install_clash(site, name, ["near"])
    monkeypatch.setenv("MTRACK_PLUGINS", "other")
    with pytest.raises(NameProblem, match="acme is not in the allow list"):
        Registry.scan().find("reward", "near", lambda distribution: distribution == "acme")
    assert Registry.scan().find("reward", "near").distribution == "other"


def test_a_stored_recipe_keeps_its_meaning_after_a_clashing_package_was_installed(site: Path, tmp_path: Path) -> None:
    mine = write(
        tmp_path / "my.toml",
        'extends = "toy.toml"\n[rewards.toy.far]\nuse = "toy_closeness"\n'
        '[phases.train]\nset = { "rewards.toy.closeness.use" = "toy_closeness" }\n',
    )
    recipe = checked(mine)
    stored = write(tmp_path / "copied.toml", recipe.resolved_toml())
    install_clash(site)
    again = checked(stored)
    assert used(again) == used(recipe)
    assert used(again.for_phase("train")) == used(recipe)
    assert recipe_sha256(again) == recipe_sha256(recipe)


def test_the_recipe_of_an_older_run_uses_what_its_manifest_records(site: Path, tmp_path: Path) -> None:
    recipe = checked("toy", f"{SLOT}.use=toy_closeness")
    text = recipe.resolved_toml().replace('"mtrack:', '"')  # as version 0.1.0 wrote it
    stored = write(tmp_path / "run" / "recipe.toml", text)
    install_clash(site)
    with pytest.raises(RecipeError, match="2 distributions have a reward"):
        checked(stored)
    write(stored.with_name("manifest.json"), json.dumps(manifest(recipe)))
    assert used(checked(stored)) == used(recipe)


def test_the_defaults_of_commands_are_components_of_mtrack(site: Path) -> None:
    install_clash(site, names=["g1"])
    assert Registry.scan().find("robot", "g1", is_own).distribution == "mtrack"
    with pytest.raises(NameProblem, match="2 distributions have a robot 'g1'"):
        Registry.scan().find("robot", "g1")
