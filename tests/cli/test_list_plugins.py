"""`mtrack list-plugins` and `--help` import nothing heavy and show broken plugins."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support.fakes import install_parts

from mtrack_testing import install

Command = Callable[..., "subprocess.CompletedProcess[str]"]
HEAVY = {"torch", "numpy", "mujoco", "rich", "pydantic", "tensordict", "pluggy", "packaging"}
SPY = """
import sys
from mtrack.cli import main
try:
    main()
finally:
    print("LOADED", *sys.modules, file=sys.stderr)
"""
BROKEN = {
    "mtrack.rewards": {
        "gone": "acme_gone:Gone",
        "torn": "acme_torn:Torn",
        "leaving": "acme_leaving:Leaving",
        "wrong": "acme_wrong:Wrong",
    }
}
MODULES = {
    "acme_torn.py": "def (",
    "acme_leaving.py": "class Leaving: ...\nraise SystemExit(0)",
    "acme_wrong.py": "from mtrack.api.fields import component\n@component\nclass Wrong:\n    '''No call.'''\n",
}


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["list-plugins"], ["list-plugins", "reward", "--json"]]
)
def test_a_listing_imports_nothing_heavy_and_no_other_plugin(mtrack: Command, arguments: list[str]) -> None:
    done = mtrack(*arguments, code=SPY)
    loaded = set(done.stderr.split("LOADED")[1].split())
    assert done.returncode == 0
    assert loaded.isdisjoint(HEAVY)
    assert {name.partition(".")[0] for name in loaded if name.startswith("mtrack_")} <= {"mtrack_dev"}


def test_components_are_listed_by_kind_with_help_and_distribution(mtrack: Command, site: Path) -> None:
    install_parts(site)
    lines = mtrack("list-plugins", "reward", "robot").stdout.splitlines()
    assert lines[0] == "robot"
    assert "observation" not in lines
    (line,) = [line for line in lines if "fake_reward" in line]
    assert line.split() == [
        "fake_reward",
        "fake-parts",
        "1.0",
        "A",
        "reward;",
        "the",
        "first",
        "line",
        "is",
        "its",
        "help.",
    ]


def test_broken_plugins_are_shown_and_do_not_hide_others(mtrack: Command, site: Path) -> None:
    install(site, "acme", BROKEN, MODULES)
    install(site, "unreadable", b"[mtrack.rewards]\n\xff = \xff\n")
    done = mtrack("list-plugins")
    assert done.returncode == 0
    assert "error: module 'acme_gone' not found" in done.stdout
    assert "error: syntax error in" in done.stdout
    assert "survival" in done.stdout
    assert "unreadable-1.0.dist-info" in done.stderr


def test_load_reports_each_failure_in_one_line_and_exits_1(mtrack: Command, site: Path) -> None:
    install(site, "acme", BROKEN, MODULES)
    done = mtrack("list-plugins", "reward", "--load")
    errors = [line.strip() for line in done.stdout.splitlines() if "error:" in line]
    assert done.returncode == 1
    assert [error[:50] for error in errors if "acme" in error] == [
        "error: module 'acme_gone' not found",
        "error: reward 'leaving' (acme 1.0) cannot be impor",
        f"error: syntax error in {site}/acme_torn.py"[:50],
        "error: reward 'wrong' (acme 1.0) breaks the contra",
    ]
    assert "Traceback" not in done.stdout + done.stderr


def test_verbose_shows_tracebacks(mtrack: Command, site: Path) -> None:
    install(site, "acme", BROKEN, MODULES)
    done = mtrack("list-plugins", "reward", "--load", "--verbose")
    assert "Traceback (most recent call last)" in done.stdout
    assert "acme_leaving.py" in done.stdout


def test_json_has_the_same_content(mtrack: Command, site: Path) -> None:
    install(site, "acme", BROKEN, MODULES)
    listed = json.loads(mtrack("list-plugins", "reward", "--json").stdout)
    gone = next(entry for entry in listed["plugins"] if entry["name"] == "gone")
    assert gone == {
        "kind": "reward",
        "name": "gone",
        "distribution": "acme",
        "version": "1.0",
        "module": "acme_gone",
        "attribute": "Gone",
        "help": "",
        "error": "module 'acme_gone' not found",
        "note": "",
    }
    assert listed["problems"] == []


def test_a_name_that_two_distributions_provide_is_listed_with_the_remedy(mtrack: Command, site: Path) -> None:
    for name in ("acme", "other"):
        install(site, name, {"mtrack.rewards": {"near": f"{name}_a:Near"}}, {f"{name}_a.py": "class Near: ..."})
    text = mtrack("list-plugins", "reward").stdout
    assert 'note: also in other: recipes that come with acme use this one; in your own write use = "acme:near"' in text
    assert 'note: also in acme: recipes that come with other use this one; in your own write use = "other:near"' in text


def test_hooks_and_commands_of_plugins_are_listed_too(mtrack: Command, site: Path) -> None:
    hooks = {"mtrack.hooks": {"watch": "acme_watch"}, "mtrack.cli": {"acme": "acme_cli:app"}}
    install(site, "acme", hooks, {"acme_watch.py": '"""Watches."""', "acme_cli.py": 'app = Typer(help="Does things.")'})
    text = mtrack("list-plugins", "hook", "cli").stdout
    assert re.search(r"  motions\.check +mtrack", text), "a command added to a group"
    assert "Watches." in text
    assert "Does things." in text


def test_an_unknown_kind_suggests_the_nearest(mtrack: Command) -> None:
    done = mtrack("list-plugins", "rewrd")
    assert done.returncode == 2
    assert done.stderr.startswith("mtrack: no kind 'rewrd'. did you mean 'reward'?")


def test_an_unknown_option_is_rejected(mtrack: Command) -> None:
    assert mtrack("list-plugins", "--lod").returncode == 2
