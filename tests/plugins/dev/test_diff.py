"""`mtrack diff` shows how two recipes or runs differ."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mtrack.cli import main
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.registry.registry import Registry
from mtrack.run.manifest import manifest
from mtrack_testing import install

REWARD = '''
"""Rewards."""
from mtrack import component, param


@component
class Near:
    """Closeness."""

    sigma: float = param(default=1.0)

    def __call__(self, scene):
        return scene
'''
MY = """\
extends = "toy.toml"
num_envs = 16

[rewards.toy.near]
weight = 0.5

[rewards.toy.closeness]
sigma = 0.25

[run]
keep = 9
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the working directory, with a recipe and a distribution `acme` that has a reward `near`."""
    site = tmp_path / "site"
    install(site, "acme", {"mtrack.rewards": {"near": "acme_near:Near"}}, {"acme_near.py": REWARD})
    monkeypatch.syspath_prepend(site)
    monkeypatch.chdir(tmp_path)
    Path("my.toml").write_text(MY, "utf-8")
    yield tmp_path
    sys.modules.pop("acme_near", None)


@pytest.fixture
def diff(capsys: pytest.CaptureFixture[str]) -> Any:
    """Return a function that runs `mtrack diff` and returns its lines, or with `--json` the data."""

    def run(*arguments: str, code: int = 0) -> Any:
        with pytest.raises(SystemExit) as ended:
            main(["diff", *arguments])
        captured = capsys.readouterr()
        assert (ended.value.code or 0) == code, captured.err
        if code:
            assert "Traceback" not in captured.err
            return captured.err
        return json.loads(captured.out) if "--json" in arguments else captured.out.splitlines()

    return run


def make_run(directory: str, recipe: str, *overrides: str, **facts: object) -> None:
    """Write the files of a run of a recipe."""
    made = check_recipe(read_recipe(recipe, overrides), Registry.scan())
    Path(directory).mkdir()
    Path(directory, "recipe.toml").write_text(made.resolved_toml(), "utf-8")
    Path(directory, "manifest.json").write_text(json.dumps({**manifest(made), **facts}), "utf-8")


def line(lines: list[str], start: str) -> str:
    (found,) = [" ".join(line.split()) for line in lines if line.strip().startswith(start)]
    return found


def test_a_recipe_does_not_differ_from_itself(diff: Any) -> None:
    assert diff("toy", "toy") == ["from toy to toy: no difference"]
    assert diff("toy", "toy", "--json")["same"] is True


def test_components_and_settings_are_listed_with_file_and_line(diff: Any) -> None:
    lines = diff("toy", "my.toml")
    assert lines[0] == "from toy to my.toml: components: 1 added, 1 changed; settings: 2"
    assert line(lines, "+ toy.near") == "+ toy.near near (acme 1.0) my.toml:4"
    assert "weight = 0.5" in lines[lines.index(next(text for text in lines if "+ toy.near" in text)) + 1]
    assert line(lines, "sigma") == "sigma 0.5 -> 0.25 default -> my.toml:8"
    assert line(lines, "num_envs") == "num_envs 64 -> 16 toy.toml:2 -> my.toml:2"
    assert line(lines, "run.keep") == "run.keep 3 -> 9 default -> my.toml:11"


def test_in_the_other_direction_it_is_removed(diff: Any) -> None:
    assert line(diff("my.toml", "toy"), "- toy.near") == "- toy.near near (acme 1.0) my.toml:4"


def test_a_disabled_slot_is_removed_at_the_line_that_disables_it(diff: Any) -> None:
    Path("off.toml").write_text('extends = "my.toml"\n[rewards.toy.near]\nenabled = false\n', "utf-8")
    assert line(diff("my.toml", "off.toml"), "- toy.near") == "- toy.near near (acme 1.0) off.toml:3"


def test_another_component_in_a_slot_is_a_replacement(diff: Any) -> None:
    (change,) = diff("toy", "toy", "--set", "rewards.toy.closeness.use=near", "--json")["components"]
    assert (change["status"], change["path"], change["kind"]) == ("replaced", "rewards.toy.closeness", "reward")
    assert (change["old"].partition("==")[0], change["new"]) == ("mtrack:toy_closeness", "acme:near==1.0")
    assert change["origin"] == "--set"


def test_a_component_named_in_full_is_the_same_component(diff: Any) -> None:
    assert diff("my.toml", "my.toml", "--set", "rewards.toy.near.use=acme:near", "--json")["same"]


def test_what_a_phase_sets_is_compared_key_by_key(diff: Any) -> None:
    sets = 'phases.train.set={{ "rewards.toy.closeness.weight" = {} }}'
    Path("phase.toml").write_text('extends = "toy.toml"\n' + sets.format(2).replace("=", " = ", 1) + "\n", "utf-8")
    (change,) = diff("phase.toml", "phase.toml", "--set", sets.format(3), "--json")["components"]
    (value,) = change["values"]
    assert (change["path"], value["key"]) == ("phases.train", 'set."rewards.toy.closeness.weight"')
    assert (value["old"], value["new"]) == (2, 3)
    assert (value["old_origin"], value["new_origin"]) == ("phase.toml:2", "--set")


def test_another_order_of_observations_is_reported(diff: Any) -> None:
    more = '[observations.policy.{}]\nuse = "joint_vel"\n'
    for name, slots in (("ab", "ab"), ("ba", "ba")):
        text = 'extends = "toy.toml"\n' + "".join(more.format(slot) for slot in slots)
        Path(f"{name}.toml").write_text(text, "utf-8")
    lines = diff("ab.toml", "ba.toml")
    assert lines[0].endswith("order: 1")
    assert lines[-1].strip() == "observations.policy"


def test_two_runs_differ_in_the_versions_of_their_components(diff: Any, folder: Path) -> None:
    make_run("a", "my.toml")
    shutil.rmtree(folder / "site" / "acme-1.0.dist-info")
    install(folder / "site", "acme", {"mtrack.rewards": {"near": "acme_near:Near"}}, version="1.1")
    make_run("b", "my.toml", "rewards.toy.near.weight=2")
    shutil.rmtree(folder / "site" / "acme-1.1.dist-info")
    lines = diff("a", "b")
    assert line(lines, "acme") == "acme 1.0 -> 1.1: near (rewards.toy.near)"
    assert line(lines, "toy.near") == "toy.near near (acme 1.0) -> near (acme 1.1)"
    assert line(lines, "weight") == "weight 0.5 -> 2.0 my.toml:5 -> --set"


def test_a_run_is_compared_with_the_recipe_it_was_made_from(diff: Any) -> None:
    make_run("a", "my.toml")
    assert diff("a", "my.toml")[0].endswith("no difference")
    assert line(diff("a", "my.toml", "--set", "num_envs=8"), "num_envs") == "num_envs 16 -> 8 my.toml:2 -> --set"


def test_different_data_of_runs_is_reported(diff: Any) -> None:
    for name, clips in (("a", {"walk": "00", "run": "11"}), ("b", {"walk": "01", "squat": "22"})):
        robot = {"joint_names": [], "sets": {}}
        policy = {"control_dt": 0.02, "robot": robot, "command": {}, "action": {}, "agent": {}, "observations": {}}
        contract = {"policy": policy, "widths": {}, "data": {"command": clips}, "phase_keys": []}
        make_run(name, "toy", contract=contract)
    assert diff("a", "b")[-1].strip() == "clips of command missing: run; changed: walk; new: squat"


def test_a_run_without_a_manifest_is_compared_without_versions(diff: Any, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        make_run(name, "my.toml")
    Path("a", "manifest.json").unlink()
    with pytest.raises(SystemExit):
        main(["diff", "a", "b"])
    captured = capsys.readouterr()
    assert captured.out == "from a to b: no difference\n"
    assert captured.err == "a has no manifest.json, so versions are not compared\n"


def test_what_cannot_be_compared_is_named_with_a_fix(diff: Any) -> None:
    Path("empty").mkdir()
    assert "empty is a directory, neither a recipe nor a run (it has no recipe.toml)" in diff("toy", "empty", code=2)
    assert "no recipe 'toi'. did you mean 'toy'?" in diff("toi", "toy", code=2)
    Path("bad.toml").write_text('extends = "toy.toml"\n[rewards.toy.closeness]\nsigmo = 1\n', "utf-8")
    assert "bad.toml: 1 problem\n   3  rewards.toy.closeness.sigmo" in diff("toy", "bad.toml", code=2)
    Path("empty", "recipe.toml").write_text("[rewards]\nclose = 1\n", "utf-8")
    assert "empty: expected a table at rewards.close" in diff("toy", "empty", code=2)
    Path("empty", "recipe.toml").write_text("rewards = [", "utf-8")
    assert "empty/recipe.toml: 1 problem" in diff("toy", "empty", code=2)


def test_a_run_cannot_be_changed_by_set(diff: Any) -> None:
    make_run("a", "toy")
    assert "--set changes a recipe, but a is a run" in diff("toy", "a", "--set", "num_envs=8", code=2)
    assert line(diff("toy", "a/recipe.toml", "--set", "num_envs=8"), "num_envs").startswith("num_envs 64 -> 8")


def test_a_folder_with_the_name_of_a_recipe_does_not_hide_it(diff: Any) -> None:
    Path("toy").mkdir()
    assert diff("toy", "toy.toml") == ["from toy to toy.toml: no difference"]
