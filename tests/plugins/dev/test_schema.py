"""The schema of `mtrack schema` accepts every valid recipe, and marks mistakes at their place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tomli
from jsonschema import Draft7Validator
from support.fakes import install_parts

from mtrack import RecipeError
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.registry.registry import Registry
from mtrack_dev.schema import recipe_schema, schema
from mtrack_testing import install

ROOT = Path(__file__).resolve().parents[3]
RECIPES = sorted((ROOT / "recipes").rglob("*.toml"))


@pytest.fixture(scope="module")
def validator() -> Draft7Validator:
    document, left_out = recipe_schema(Registry.scan())
    assert left_out == []
    Draft7Validator.check_schema(document)
    return Draft7Validator(json.loads(json.dumps(document)))


def marked(validator: Draft7Validator, text: str) -> dict[str, str]:
    """Return the errors of a recipe by place."""
    errors = validator.iter_errors(tomli.loads(text))
    return {".".join(map(str, error.absolute_path)): error.message for error in errors}


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.name)
def test_every_recipe_is_accepted_as_it_is_written(validator: Draft7Validator, file: Path) -> None:
    assert marked(validator, file.read_text("utf-8")) == {}


@pytest.mark.parametrize(
    "text",
    [
        '[rewards.toy.closeness]\nuse = "mtrack:toy_closeness"',
        '[rewards.toy.mine]\nuse = "survival"\nweight = 2',
        "[rewards.toy.survival]",
        "[rewards.toy.closeness]\nweight = 0.5",
        '[motions.later]\nuse = "motion_files"\nenabled = false',
        "[reward_groups.toy]\nscale = { from = 0, to = 1 }",
        "[observations.policy.error]\nhistory = [0, 2]\nnoise = 0.1",
        "[phases.train]\nentropy = { from = 1e-3, to = 1e-4, shape = 'exp' }",
        "[phases.train]\nset = { 'rewards.toy.closeness.weight' = 0.1, num_envs = 8 }",
        "[phases.train.set]\nrewards.toy.closeness = { enabled = false }",
        "[phases.train.set]\n'reward_groups.toy.scale' = { from = 1, to = 2 }\n'reward_groups.toy.scale.to' = 3",
        "[backend]\nuse = 'auto'\n[robot]\nuse = 'g1'\n[motions.builtin]\nuse = 'procedural'\n[run]\nkeep = 1",
        "[agent]\ninit_std = { '.*' = 0.3 }\nactor_hidden = [8]",
        "[action]\nscale = 'effort'",
        "[action]\nscale = { shoulder = 1 }",
    ],
)
def test_every_valid_form_of_a_recipe_is_accepted(validator: Draft7Validator, tmp_path: Path, text: str) -> None:
    assert marked(validator, f'extends = "toy.toml"\n{text}') == {}


BAD = {
    "unknown component": ('[rewards.toy.closeness]\nuse = "toy_closenes"', "rewards.toy.closeness.use", "toy_closenes"),
    "unknown distribution": ('[robot]\nuse = "acme:toy_robot"', "robot.use", "acme:toy_robot"),
    "unknown parameter": ("[rewards.toy.joint_vel]\nwieght = 1", "rewards.toy.joint_vel", "'wieght'"),
    "of another component": ('[rewards.toy.mine]\nuse = "survival"\nsigma = 1', "rewards.toy.mine", "'sigma'"),
    "of no component": ("[rewards.toy.closeness]\nsgima = 1", "rewards.toy.closeness", "'sgima'"),
    "unknown key": ("num_envz = 3", "", "'num_envz'"),
    "unknown setting": ("[run]\nkep = 1", "run", "'kep'"),
    "a word for a number": ('[rewards.toy.joint_vel]\nsigma = "0.3"', "rewards.toy.joint_vel.sigma", "number"),
    "true for an integer": ("num_envs = true", "num_envs", "integer"),
    "a word for true": ('[rewards.toy.joint_vel]\nenabled = "no"', "rewards.toy.joint_vel.enabled", "boolean"),
    "a number for a table": ("[rewards.toy]\nsurvival = 1", "rewards.toy.survival", "object"),
    "no choice": ('[command]\nuse = "motion_tracking"\nroot_target = "slidign"', "command.root_target", "slidign"),
    "out of range": ("[rewards.toy.joint_vel]\nsigma = 0", "rewards.toy.joint_vel.sigma", "0"),
    "out of the kernel's range": ("[phases.train]\nframes = 0", "phases.train.frames", "0"),
    "unknown, but disabled": ('[rewards.toy.x]\nenabled = false\nuse = "nobodys"', "rewards.toy.x.use", "nobodys"),
    "too few": ("[agent]\nactor_hidden = []", "agent.actor_hidden", "[]"),
    "wrong length": ("[randomizations.gravity]\nchange = [0.1]", "randomizations.gravity.change", "[0.1]"),
    "half a schedule": ("[reward_groups.toy]\nscale = { from = 1 }", "reward_groups.toy.scale", "'to'"),
    "bad name of a slot": ('[rewards.toy."a b"]\nuse = "survival"', "rewards.toy", "a b"),
    "unknown key in a phase": (
        "[phases.train.set]\n'command.spede' = 1",
        "phases.train.set.command.spede",
        "not a key",
    ),
    "fixed in all phases": ("[phases.train.set]\n'agent.norm' = 'none'", "phases.train.set.agent.norm", "same in all"),
    "wrong type in a phase": (
        "[phases.train.set]\n'rewards.toy.closeness.weight' = 'x'",
        "phases.train.set.rewards.toy.closeness.weight",
        "number",
    ),
}


@pytest.mark.parametrize(("text", "place", "word"), BAD.values(), ids=BAD)
def test_a_mistake_is_marked_at_its_place(validator: Draft7Validator, text: str, place: str, word: str) -> None:
    found = marked(validator, f'extends = "toy.toml"\n{text}')
    assert list(found) == [place]
    assert word in found[place]


@pytest.mark.parametrize(("text", "place", "word"), BAD.values(), ids=BAD)
def test_nothing_is_marked_that_the_check_accepts(tmp_path: Path, text: str, place: str, word: str) -> None:
    (tmp_path / "my.toml").write_text(f'extends = "toy.toml"\n{text}', "utf-8")
    with pytest.raises(RecipeError) as caught:
        check_recipe(read_recipe(tmp_path / "my.toml"), Registry.scan())
    assert any(problem.path.replace('"', "").startswith(place) for problem in caught.value.problems)


@pytest.mark.parametrize(
    ("text", "place", "word"),
    [
        ("[rewards.toy.mine]\nweight = 1", "rewards.toy.mine", "'use'"),
        ("[robot]", "robot", "'use'"),
        ("[motions.motion_files]", "motions.motion_files", "'path'"),
        ('[motions.mine]\nuse = "motion_files"', "motions.mine", "'path'"),
        ("[phases.train]\ntrain_every = 8", "phases.train", "'frames'"),
    ],
)
def test_a_key_that_a_base_may_set_is_required_only_without_a_base(
    validator: Draft7Validator, text: str, place: str, word: str
) -> None:
    found = marked(validator, text)
    assert list(found) == [place]
    assert word in found[place]
    assert marked(validator, f'extends = "base.toml"\n{text}') == {}


def test_parameters_have_help_defaults_and_bounds(validator: Draft7Validator) -> None:
    definitions: dict[str, Any] = validator.schema["definitions"]
    assert definitions["reward.root_pos"]["properties"]["sigma"] == {
        "type": "number",
        "exclusiveMinimum": 0,
        "default": 0.3,
        "description": "Error at which the reward has fallen to 1/e [m].",
    }
    assert definitions["reward.root_pos"]["description"].startswith("Closeness")


def test_components_of_other_packages_are_known_and_broken_ones_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_parts(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    install(tmp_path, "acme-broken", {"mtrack.rewards": {"fails": "acme_broken:Fails"}}, {"acme_broken.py": "1 / 0"})
    install(tmp_path, "acme-rival", {"mtrack.rewards": {"survival": "fake_parts:FakeReward"}})
    document, left_out = recipe_schema(Registry.scan())
    text = """
        extends = "x"
        [rewards.a.fake_reward]
        mode = "middle"
        pair = [1.5, 1]
        [rewards.a.one]
        use = "survival"
        [rewards.a.other]
        use = "acme-rival:survival"
        point = { x = 1, z = 2 }
    """
    wrong = {"fake_reward.mode", "fake_reward.pair.0", "one.use", "other.point"}
    assert set(marked(Draft7Validator(document), text)) == {f"rewards.a.{place}" for place in wrong}
    assert [reason.partition(":")[0] for reason in left_out] == ["reward 'fails' (acme-broken 1.0) cannot be imported"]


def test_the_command_says_how_to_use_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    schema(tmp_path / "mtrack.schema.json")
    assert "#:schema ./mtrack.schema.json" in capsys.readouterr().err
    assert json.loads((tmp_path / "mtrack.schema.json").read_text())["title"] == "mtrack recipe"
