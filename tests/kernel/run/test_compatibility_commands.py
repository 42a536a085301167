"""`run --resume`, `run --from` and `eval` reject or list what has changed since a run was made."""

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
    """Always 1."""

    sigma: float = param(default=1.0)

    def __call__(self, scene):
        return scene.robot.root_pos[:, 0] * 0 + 1
'''


class Installation:
    """A folder of distributions that mtrack finds, and the runs made with them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.site = folder / "site"

    def install(self, version: str, source: str = UPRIGHT) -> None:
        """Install one version of `acme` instead of any other."""
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
def made(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """Return an installation with acme 1.0, and a finished run `made` that uses its reward."""
    installed = Installation(tmp_path_factory.mktemp("installed"))
    installed.install("1.0")
    recipe = 'extends = "toy.toml"\nnum_envs = 16\n[rewards.toy.upright]\n[phases.train]\nframes = 512\n'
    (installed.folder / "my.toml").write_text(recipe, "utf-8")
    assert installed.mtrack("run", "my.toml", "--run-dir", "made") == 0
    return installed


@pytest.fixture
def upgraded(made: Installation) -> Installation:
    """Return the same installation after an upgrade from acme 1.0 to 1.1."""
    made.install("1.1")
    return made


CHANGE = "acme 1.0 -> 1.1: upright (rewards.toy.upright)"


def test_a_checkpoint_contains_the_manifest_of_its_run(made: Installation) -> None:
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


def test_manifests_and_checkpoints_contain_no_path_of_this_machine(made: Installation) -> None:
    run = made.folder / "made"
    for file in (run / "manifest.json", *(run / "checkpoints").rglob("*.*")):
        assert str(made.folder).encode() not in file.read_bytes(), file


def test_resuming_with_another_version_stops_and_names_the_component_and_the_remedy(
    upgraded: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    assert upgraded.mtrack("run", "--resume", "made") == 2
    message = capsys.readouterr().err
    assert CHANGE in message
    assert "pip install NAME==VERSION" in message
    assert "--allow-change" in message


@pytest.mark.parametrize("command", [["run", "my.toml", "--run-dir", "b", "--from", "made"], ["eval", "made"]])
def test_starting_from_a_run_and_evaluating_it_list_another_version(
    upgraded: Installation, command: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    upgraded.mtrack(*command)
    assert CHANGE in caplog.text
    shutil.rmtree(upgraded.folder / "b", ignore_errors=True)


def test_edited_code_of_the_same_version_stops_a_resume_and_is_listed_by_from(
    made: Installation, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    made.install("1.0", UPRIGHT.replace("+ 1\n", "+ 2\n"))
    change = "the code of acme_u was edited: rewards.toy.upright"
    assert made.mtrack("run", "--resume", "made") == 2
    assert change in capsys.readouterr().err
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        assert made.mtrack("run", "my.toml", "--run-dir", "c", "--from", "made") == 0
    assert change in caplog.text


def test_resuming_with_another_recipe_names_the_keys(made: Installation, capsys: pytest.CaptureFixture[str]) -> None:
    made.install("1.0")
    assert made.mtrack("run", "--resume", "made", "--set", "rewards.toy.closeness.sigma=0.4") == 2
    message = capsys.readouterr().err
    assert "rewards.toy.closeness.sigma: 0.5 -> 0.4" in message
    assert "sha256" not in message


def test_another_version_of_a_library_is_a_difference(made: Installation, capsys: pytest.CaptureFixture[str]) -> None:
    made.install("1.0")
    other = made.folder / "other"
    shutil.copytree(made.folder / "made", other)
    text = (other / "manifest.json").read_text("utf-8")
    (other / "manifest.json").write_text(re.sub('"torch": "[^"]*"', '"torch": "1.0"', text), "utf-8")
    assert made.mtrack("run", "--resume", "other") == 2
    assert "torch 1.0 -> 2." in capsys.readouterr().err


def test_an_allowed_change_becomes_part_of_the_run(upgraded: Installation, caplog: pytest.LogCaptureFixture) -> None:
    run = upgraded.folder / "resumed"
    shutil.copytree(upgraded.folder / "made", run)
    end = run / "checkpoints" / "train-0000002" / "manifest.json"
    end.write_text(end.read_text("utf-8").replace('"ended": true', '"ended": false'), "utf-8")
    more = ("--set", "phases.train.frames=1024", "--allow-change")
    assert upgraded.mtrack("run", "--resume", "resumed", *more) == 0
    assert CHANGE in caplog.text
    assert read_manifest(run)["distributions"]["acme"] == "1.1"
    assert read_manifest(run / "checkpoints" / "train-0000004")["distributions"]["acme"] == "1.1"
    assert upgraded.mtrack("run", "--resume", "resumed") == 0, "the changed recipe is now the recipe of the run"


@pytest.mark.parametrize("command", [["run", "--resume"], ["eval"]])
def test_an_error_from_an_incompatible_or_missing_plugin_names_the_versions(
    upgraded: Installation, command: list[str], capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    upgraded.install("2.0", UPRIGHT.replace("sigma", "width"))
    assert upgraded.mtrack(*command, "made") == 2
    assert "acme 1.0 -> 2.0: upright (rewards.toy.upright)" in capsys.readouterr().err + caplog.text
    caplog.clear()
    shutil.rmtree(upgraded.site)
    assert upgraded.mtrack(*command, "made") == 2
    assert "acme 1.0 -> not installed: upright (rewards.toy.upright)" in capsys.readouterr().err + caplog.text
