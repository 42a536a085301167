"""All problems of a recipe are in one report, each with its path, line and hint."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.checking import Check
from support.fakes import RECIPE

from mtrack import RecipeError
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.registry.registry import Registry


def test_all_mistakes_are_in_one_report_with_their_lines(check: Check, tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text(RECIPE.replace("frames = 1000", "frames = 1e3"), "utf-8")
    text = """\
extends = "base.toml"
num_envs = "8"
colour = "red"
[command]
target = "slidign"
[observations.policy.two]
use = "fake_observation"
noise = -1
[rewards.task]
near = { wieght = 2 }
slip = { use = "fake_slipp" }
far = { use = "fake_reward", sigma = 0, on = "no" }
[rewards.task.hover]
use = "fake_slip"
"""
    (tmp_path / "my.toml").write_text(text, "utf-8")
    with pytest.raises(RecipeError) as caught:
        check_recipe(read_recipe("my.toml", ["device=gpu"]), Registry.scan())
    assert [(problem.source, problem.line, problem.path) for problem in caught.value.problems] == [
        ("my.toml", 2, "num_envs"),
        ("my.toml", 3, "colour"),
        ("my.toml", 5, "command.target"),
        ("my.toml", 8, "observations.policy.two.noise"),
        ("my.toml", 10, "rewards.task.near.wieght"),
        ("my.toml", 11, "rewards.task.slip.use"),
        ("my.toml", 12, "rewards.task.far.sigma"),
        ("my.toml", 12, "rewards.task.far.on"),
        ("my.toml", 13, "rewards.task.hover.bodies"),
        ("--set", None, "device"),
        ("base.toml", 25, "phases.train.frames"),
    ]


def test_the_report_has_the_documented_format(check: Check) -> None:
    whole = RECIPE.replace("sigma = 0.2", "wieght = 2")
    with pytest.raises(RecipeError) as caught:
        check(
            "[rewards.task.slip]\nuse = 'fake_slipp'\n",
            "num_envs=0",
            whole=whole + "[rewards.task.slip]\nuse = 'fake_slipp'\n",
        )
    lines = str(caught.value).splitlines()
    assert lines[0] == "my.toml: 3 problems"
    assert lines[1] == "  20  rewards.task.near.wieght"
    assert lines[2] == "      unknown parameter 'wieght' for reward 'fake_reward' (fake-parts 1.0)"
    assert lines[3].startswith("      did you mean 'weight'?   parameters: sigma (float, 0.3), low (float, 0.0)")
    assert lines[4] == '  27  rewards.task.slip.use = "fake_slipp"'
    assert (
        lines[5]
        == "      no reward named 'fake_slipp'; did you mean 'fake_slip'?   'mtrack list-plugins reward' lists them"
    )
    assert lines[6] == "      num_envs = 0   [--set]"
