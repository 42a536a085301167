"""The lock on versions: a run goes on, is begun from and is scored with what made it, unless one allows a change."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mtrack.cli import main
from mtrack.errors import CheckpointError
from mtrack.lock import hold_versions, made_with, recipe_changes, version_changes
from mtrack.provenance import manifest
from mtrack.registry import Registry
from mtrack.structure import Recipe
from mtrack_dev.testing import install

Check = Callable[..., Recipe]

UPRIGHT = '''
"""A reward."""
from mtrack.fields import component, param


@component
class Upright:
    """1 always."""

    sigma: float = param(default=1.0)

    def __call__(self, scene):
        return scene.robot.root_pos[:, 0] * 0 + 1
'''


def test_nothing_has_changed_where_nothing_has(check: Check) -> None:
    recipe = check()
    facts = manifest(recipe)
    assert version_changes(facts, recipe.registry) == ([], [])
    assert list(recipe_changes(facts, facts)) == []


def test_another_version_names_the_components_it_supplies(check: Check) -> None:
    recipe = check("[rewards.task.more]\nuse = 'fake_reward'\n")
    before = manifest(recipe)
    before["distributions"]["fake-parts"] = "0.9"
    (change,), _ = version_changes(before, recipe.registry)
    assert change.startswith("fake-parts 0.9 then, 1.0 now: fake_robot (robot)")
    assert change.endswith("and 3 more")


def test_only_components_in_use_count_where_a_run_is_begun_from_another(check: Check) -> None:
    recipe = check()
    before = manifest(recipe)
    before["distributions"]["fake-parts"] = "0.9"
    used = ["fake-parts:fake_agent==1.0", "fake-parts:fake_slip==1.0"]
    assert version_changes(before, recipe.registry, used)[0] == ["fake-parts 0.9 then, 1.0 now: fake_agent (agent)"]
    assert version_changes(before, recipe.registry, used=["acme:fake_agent==1.0"])[0] == []


def test_components_that_a_phase_alone_uses_are_recorded(check: Check, site: Path) -> None:
    install(site, "other-parts", {"mtrack.terminations": {"other": "fake_parts:FakeFall"}}, version="2.0")
    sets = "'rewards.task.far.enabled' = true, 'terminations.fall.use' = 'other', 'rewards.task.near.sigma' = 2"
    far = "[rewards.task.far]\nuse = 'fake_reward'\nenabled = false\n"
    facts = manifest(check(f"set = {{ {sets} }}\n{far}"))["components"]
    assert {path: filled for path, filled in facts.items() if path.startswith("phases.train.set")} == {
        "phases.train.set.rewards.task.far": "fake-parts:fake_reward==1.0",
        "phases.train.set.terminations.fall": "other-parts:other==2.0",
    }


def test_another_supplier_in_a_slot_and_another_value_are_changes(check: Check) -> None:
    before, now = manifest(check()), manifest(check("", "rewards.task.near.sigma=0.4"))
    before["components"]["rewards.task.near"] = "acme:fake_reward==1.0"
    supplier, value = recipe_changes(before, now)
    assert supplier == "rewards.task.near: acme:fake_reward then, fake-parts:fake_reward now"
    assert value.startswith("the recipe: recipe_sha256 ")


def test_a_library_of_another_version_is_told_apart(check: Check) -> None:
    before = manifest(check())
    before["distributions"]["torch"] = "1.0"
    components, (library,) = version_changes(before, Registry.scan())
    assert components == []
    assert re.fullmatch(r"torch 1\.0 then, 2\..* now", library)


def test_a_library_of_another_version_is_no_reason_to_stop(
    check: Check, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = manifest(check())
    before["distributions"]["torch"] = "1.0"
    (tmp_path / "manifest.json").write_text(json.dumps(before), "utf-8")
    hold_versions(tmp_path, Registry.scan(), allow_change=False)
    assert "torch 1.0 then, " in caplog.text


def test_the_record_of_a_checkpoint_is_its_own_else_that_of_its_run(tmp_path: Path) -> None:
    inside = tmp_path / "checkpoints" / "train-1"
    inside.mkdir(parents=True)
    run = {"components": {"agent": "a:b==1"}, "distributions": {"a": "1"}}
    (tmp_path / "manifest.json").write_text(json.dumps(run), "utf-8")
    (inside / "manifest.json").write_text('{"format": 1}', "utf-8")
    assert made_with(inside) == made_with(tmp_path) == run
    (inside / "manifest.json").write_text(json.dumps(run | {"format": 1}), "utf-8")
    assert made_with(inside)["format"] == 1


@pytest.mark.parametrize("text", ["", "[1]", "3", "{"])
def test_a_damaged_record_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text, "utf-8")
    with pytest.raises(CheckpointError, match=r"manifest\.json is damaged"):
        made_with(tmp_path)


def test_without_a_record_one_must_allow_it(tmp_path: Path) -> None:
    place = tmp_path / "a" / "b" / "c"
    place.mkdir(parents=True)
    with pytest.raises(CheckpointError, match=r"no manifest.json that says what made it\n.*--allow-change"):
        hold_versions(place, Registry(), allow_change=False)
    hold_versions(place, Registry(), allow_change=True)


# ---------------------------------------------------------------- on the command line


class Shop:
    """A folder of distributions that mtrack sees, and runs made with them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.site = folder / "site"

    def put(self, version: str, source: str = UPRIGHT) -> None:
        """Have `acme` installed in one version."""
        shutil.rmtree(self.site, ignore_errors=True)
        install(self.site, "acme", {"mtrack.rewards": {"upright": "acme_u:Upright"}}, {"acme_u.py": source}, version)

    def mtrack(self, *arguments: str) -> int:
        """Run a command in this process, which has not yet seen `acme`, and return its exit status."""
        threads = torch.get_num_threads()
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            patch.syspath_prepend(self.site)
            patch.delitem(sys.modules, "acme_u", raising=False)
            with pytest.raises(SystemExit) as ended:
                main(arguments)
        sys.modules.pop("acme_u", None)
        torch.set_num_threads(threads)
        return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Return a shop with a run `made` that acme 1.0 supplied a reward to."""
    shop = Shop(tmp_path_factory.mktemp("shop"))
    shop.put("1.0")
    recipe = 'extends = "toy.toml"\nnum_envs = 16\n[rewards.toy.upright]\n[phases.train]\nframes = 512\n'
    (shop.folder / "my.toml").write_text(recipe, "utf-8")
    assert shop.mtrack("run", "my.toml", "--run-dir", "made") == 0
    return shop


@pytest.fixture
def shop(made: Shop) -> Shop:
    """Return the shop with acme 1.1 in place of the 1.0 that supplied its run."""
    made.put("1.1")
    return made


CHANGE = "acme 1.0 then, 1.1 now: upright (rewards.toy.upright)"


def test_a_checkpoint_carries_the_manifest_of_its_run(made: Shop) -> None:
    (path,) = (made.folder / "made" / "checkpoints").iterdir()
    facts = json.loads((path / "manifest.json").read_text("utf-8"))
    assert facts["components"]["rewards.toy.upright"] == "acme:upright==1.0"
    assert facts["distributions"]["acme"] == "1.0"


@pytest.mark.parametrize(
    "arguments", [["run", "--resume", "made"], ["run", "my.toml", "--from", "made", "--run-dir", "b"], ["eval", "made"]]
)
def test_another_version_stops_and_names_component_and_remedy(
    shop: Shop, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert shop.mtrack(*arguments) == 2
    told = capsys.readouterr().err
    assert CHANGE in told
    assert "pip install NAME==VERSION" in told
    assert "--allow-change" in told


def test_to_resume_with_another_torch_is_a_change_too(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    shop.put("1.0")
    other = shop.folder / "other"
    shutil.copytree(shop.folder / "made", other)
    text = (other / "manifest.json").read_text("utf-8")
    (other / "manifest.json").write_text(re.sub('"torch": "[^"]*"', '"torch": "1.0"', text), "utf-8")
    assert shop.mtrack("run", "--resume", "other") == 2
    assert "torch 1.0 then, " in capsys.readouterr().err


def test_one_may_begin_with_the_agent_of_another_version_when_one_says_so(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    assert shop.mtrack("run", "my.toml", "--from", "made", "--run-dir", "allowed", "--allow-change") == 0
    assert CHANGE in caplog.text


def test_one_may_go_on_with_another_version_and_then_it_is_the_run_s(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    run = shop.folder / "resumed"
    shutil.copytree(shop.folder / "made", run)
    end = run / "checkpoints" / "train-0000002" / "manifest.json"
    end.write_text(end.read_text("utf-8").replace('"ended": true', '"ended": false'), "utf-8")
    more = ("--set", "phases.train.frames=1024", "--allow-change")
    assert shop.mtrack("run", "--resume", "resumed", *more) == 0
    assert CHANGE in caplog.text
    assert made_with(run)["distributions"]["acme"] == "1.1"
    assert made_with(run / "checkpoints" / "train-0000004")["distributions"]["acme"] == "1.1"


def test_one_may_score_with_another_version_when_one_says_so(
    shop: Shop, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert shop.mtrack("eval", "made", "--allow-change") == 2
    assert CHANGE in caplog.text
    assert "plays no clips" in capsys.readouterr().err, "it got as far as the toy task lets it"


@pytest.mark.parametrize("command", [["run", "--resume"], ["eval"]])
def test_a_plugin_that_is_gone_or_no_longer_understands_the_recipe_is_told_by_its_version(
    shop: Shop, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    shop.put("2.0", UPRIGHT.replace("sigma", "width"))
    assert shop.mtrack(*command, "made") == 2
    assert "acme 1.0 then, 2.0 now: upright (rewards.toy.upright)" in capsys.readouterr().err
    shutil.rmtree(shop.site)
    assert shop.mtrack(*command, "made") == 2
    assert "acme 1.0 then, not installed now: upright (rewards.toy.upright)" in capsys.readouterr().err
