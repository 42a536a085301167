"""The order tracker records the calls of the loop, and the fixtures of the pytest plugin are available."""

from __future__ import annotations

import pytest
import torch

from mtrack import NameProblem
from mtrack.registry.registry import Registry
from mtrack_testing import OrderTracker, small_task


def test_calls_of_a_component_are_recorded_in_the_order_of_the_loop() -> None:
    task = small_task("toy", "num_envs=3", "randomizations.push={}", "command.steps=1")
    order = OrderTracker(task.env)
    task.env.step(torch.zeros(3, 2))
    assert order.of("Push") == ["Push.before_step", "Push.randomize"]
    assert order.seen.index("Push.before_step") < order.seen.index("action.apply")
    assert order.seen.index("reward rewards.toy.closeness") < order.seen.index("Push.randomize")


def test_fixtures_give_new_scenes(toy_scene, g1_scene) -> None:
    assert toy_scene.num_envs == g1_scene.num_envs == 11
    assert g1_scene.backend.field("body_mass").shape[0] == 11
    with pytest.raises(NameProblem, match="not declared"):
        toy_scene.backend.field("body_mass")


def test_a_fake_distribution_is_found_like_an_installed_one(fake_distribution) -> None:
    source = '"""Near."""\nclass Near:\n    """Is near."""\n'
    fake_distribution("acme", {"mtrack.rewards": {"near": "acme_near:Near"}}, {"acme_near.py": source})
    entry = Registry.scan().find("reward", "acme:near")
    assert entry.help == "Is near."
