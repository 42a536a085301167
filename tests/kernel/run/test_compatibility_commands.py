"""`run --resume`, `run --from` and `eval` stop for, or list, what has changed since a run was made."""

from __future__ import annotations

import logging
import re
import shutil
import sys
from pathlib import Path

import pytest
import torch

from mtrack.cli import main
from mtrack.run.manifests import read_manifest
from mtrack_testing import install

UPRIGHT = '''
"""A reward."""
from mtrack import component, param


@component
class Upright:
    """1 always."""

    sigma: float = param(default=1.0)

    def __call__(self, scene):
        return scene.robot.root_pos[:, 0] * 0 + 1
'''


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
    """Return a shop with a run `made` that acme 1.0 supplied a reward to, and a copy of it that has not ended."""
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


CHANGE = "acme 1.0 -> 1.1: upright (rewards.toy.upright)"


def test_a_checkpoint_carries_the_manifest_of_its_run(made: Shop) -> None:
    (path,) = (made.folder / "made" / "checkpoints").iterdir()
    facts = read_manifest(path)
    assert facts["components"]["rewards.toy.upright"] == "acme:upright==1.0"
    assert facts["distributions"]["acme"] == "1.0"
    assert facts["contract"]["widths"] == {
        "observations.policy": 4,
        "observations.priv": 2,
        "observations.critic_priv": 2,
        "action": 2,
    }
    assert read_manifest(made.folder / "made")["contract"] == facts["contract"]


def test_no_file_to_share_names_a_folder_of_this_machine(made: Shop) -> None:
    run = made.folder / "made"
    for file in (run / "manifest.json", *(run / "checkpoints").rglob("*.*")):
        assert str(made.folder).encode() not in file.read_bytes(), file


def test_resuming_with_another_version_stops_and_names_component_and_remedy(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shop.mtrack("run", "--resume", "made") == 2
    message = capsys.readouterr().err
    assert CHANGE in message
    assert "pip install NAME==VERSION" in message
    assert "--allow-change" in message


@pytest.mark.parametrize("command", [["run", "my.toml", "--run-dir", "b", "--from", "made"], ["eval", "made"]])
def test_starting_and_evaluating_with_another_version_is_listed(
    shop: Shop, command: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    shop.mtrack(*command)
    assert CHANGE in caplog.text
    shutil.rmtree(shop.folder / "b", ignore_errors=True)


def test_code_that_was_edited_under_the_same_version_stops_a_resume_and_is_listed_in_a_start(
    made: Shop, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    made.put("1.0", UPRIGHT.replace("+ 1\n", "+ 2\n"))
    change = "the code of acme_u was edited: rewards.toy.upright"
    assert made.mtrack("run", "--resume", "made") == 2
    assert change in capsys.readouterr().err
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        assert made.mtrack("run", "my.toml", "--run-dir", "c", "--from", "made") == 0
    assert change in caplog.text


def test_resuming_with_another_recipe_names_the_keys(made: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    made.put("1.0")
    assert made.mtrack("run", "--resume", "made", "--set", "rewards.toy.closeness.sigma=0.4") == 2
    message = capsys.readouterr().err
    assert "rewards.toy.closeness.sigma: 0.5 -> 0.4" in message
    assert "sha256" not in message


def test_a_library_of_another_version_is_a_change_too(made: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    made.put("1.0")
    other = made.folder / "other"
    shutil.copytree(made.folder / "made", other)
    text = (other / "manifest.json").read_text("utf-8")
    (other / "manifest.json").write_text(re.sub('"torch": "[^"]*"', '"torch": "1.0"', text), "utf-8")
    assert made.mtrack("run", "--resume", "other") == 2
    assert "torch 1.0 -> 2." in capsys.readouterr().err


def test_a_run_of_two_processes_is_not_resumed_by_one(made: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    made.put("1.0")
    two = made.folder / "two"
    shutil.copytree(made.folder / "made", two)
    text = (two / "manifest.json").read_text("utf-8")
    (two / "manifest.json").write_text(text.replace('"ranks": 1', '"ranks": 2'), "utf-8")
    assert made.mtrack("run", "--resume", "two", "--allow-change") == 2
    assert "2 processes made it, 1 would resume it now" in capsys.readouterr().err


def test_a_change_that_is_allowed_becomes_that_of_the_run(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    run = shop.folder / "resumed"
    shutil.copytree(shop.folder / "made", run)
    end = run / "checkpoints" / "train-0000002" / "manifest.json"
    end.write_text(end.read_text("utf-8").replace('"ended": true', '"ended": false'), "utf-8")
    more = ("--set", "phases.train.frames=1024", "--allow-change")
    assert shop.mtrack("run", "--resume", "resumed", *more) == 0
    assert CHANGE in caplog.text
    assert read_manifest(run)["distributions"]["acme"] == "1.1"
    assert read_manifest(run / "checkpoints" / "train-0000004")["distributions"]["acme"] == "1.1"
    assert shop.mtrack("run", "--resume", "resumed") == 0, "its recipe is the changed one from now on"


@pytest.mark.parametrize("command", [["run", "--resume"], ["eval"]])
def test_a_plugin_that_is_gone_or_no_longer_understands_the_recipe_is_explained_by_its_version(
    shop: Shop, command: list[str], capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    shop.put("2.0", UPRIGHT.replace("sigma", "width"))
    assert shop.mtrack(*command, "made") == 2
    assert "acme 1.0 -> 2.0: upright (rewards.toy.upright)" in capsys.readouterr().err + caplog.text
    caplog.clear()
    shutil.rmtree(shop.site)
    assert shop.mtrack(*command, "made") == 2
    assert "acme 1.0 -> not installed: upright (rewards.toy.upright)" in capsys.readouterr().err + caplog.text
