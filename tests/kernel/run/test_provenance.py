"""The manifest records what made a result, without secrets."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from support.fakes import RECIPE

from mtrack import Recipe
from mtrack.registry.registry import Registry
from mtrack.run.manifest import installed_versions, manifest, recipe_sha256

Check = Callable[..., Recipe]


def test_the_manifest_names_every_component_with_its_distribution_and_version(check: Check) -> None:
    facts = manifest(check(), motions={"a.npz": "00"})
    assert facts["components"]["rewards.task.near"] == "fake-parts:fake_reward==1.0"
    assert facts["components"].keys() >= {
        "robot",
        "backend",
        "command",
        "action",
        "agent",
        "phases.train",
        "motions.clips",
    }
    assert facts["distributions"]["fake-parts"] == "1.0"
    assert facts["distributions"]["torch"] and facts["mtrack"]
    assert (facts["seed"], facts["motions"]) == (3, {"a.npz": "00"})


def test_a_distribution_without_a_name_in_a_damaged_manifest_is_not_installed() -> None:
    assert installed_versions([""], Registry.scan()) == {"": "not installed"}


def test_the_manifest_survives_json(check: Check) -> None:
    facts = manifest(check())
    assert json.loads(json.dumps(facts)) == facts


def test_the_manifest_contains_no_secrets_of_the_environment(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "hush-hush")
    assert "hush-hush" not in json.dumps(manifest(check()))


def test_the_hash_of_a_recipe_depends_only_on_its_values(check: Check) -> None:
    plain = recipe_sha256(check())
    assert recipe_sha256(check("# comment\n")) == plain
    assert recipe_sha256(check("", "rewards.task.near.count=8")) == plain
    assert recipe_sha256(check("", "rewards.task.near.count=9")) != plain


def test_the_hash_of_a_recipe_depends_on_the_order_of_observations(check: Check) -> None:
    second = '[observations.policy.two]\nuse = "fake_observation"\n'
    first = "[observations.policy.one]\n"
    assert recipe_sha256(check(second)) != recipe_sha256(check(whole=RECIPE.replace(first, second + first)))
