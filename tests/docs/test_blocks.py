"""Every code block of the documentation works: commands parse, recipes pass the checks, Python runs."""

from __future__ import annotations

import importlib
import importlib.util
import re
import shlex
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import tomli
from pages import ROOT, WRITTEN, Block, all_blocks, blocks, name
from torch.distributed import run as torchrun
from typer.main import get_group

from mtrack.api.kinds import COMMAND_GROUP, HOOK_GROUP, KINDS
from mtrack.cli import app
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.registry.registry import Registry
from mtrack_demo import demo_run
from mtrack_export.folder import ExportOptions, export_policy
from mtrack_robot.reading import read_description

PROJECT = tomli.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
WIDEST = 88
LANGUAGES = ("bash", "python", "toml", "text")
GROUPS = {COMMAND_GROUP, HOOK_GROUP, *(kind.group for kind in KINDS.values())}
TOOLS = {
    "ruff",
    "mypy",
    "lint-imports",
    "pre-commit",
    "zensical",
    "twine",
    "cd",
    "export",
}  # whose options are theirs to check


@cache
def registry() -> Registry:
    return Registry.scan(allow=())


def test_every_block_has_a_language_that_is_tested() -> None:
    fences = {name(page): len(re.findall(r"^```", page.read_text("utf-8"), re.MULTILINE)) for page in WRITTEN}
    assert {name(page): 2 * len(list(blocks(page))) for page in WRITTEN} == fences, "every fence is recognised"
    assert [str(block) for block in all_blocks() if block.language not in LANGUAGES] == []


def test_blocks_fit_the_page_without_scrolling() -> None:
    assert [str(block) for block in all_blocks() if max(map(len, block.text.splitlines())) > WIDEST] == []


# ---------------------------------------------------------------- commands


def commands(block: Block) -> Iterator[list[str]]:
    """Yield each command of a shell block as words, without redirections."""
    for line in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words:
            end = words.index("&&") if "&&" in words else len(words)
            command, words = words[:end], words[end + 1 :]
            yield command[: command.index(">")] if ">" in command else command


def parse(words: list[str]) -> None:
    """Parse the arguments of an `mtrack` command as the command line does; raise if they are not accepted."""
    group: Any = get_group(app)
    with group.make_context("mtrack", [*words], resilient_parsing=False) as context:
        rest = [*context._protected_args, *context.args]
        while rest:
            command_name, command, rest = group.resolve_command(context, rest)
            with command.make_context(command_name, rest, parent=context) as context:  # noqa: PLW2901
                group = command
                rest = [*context._protected_args, *context.args] if hasattr(command, "commands") else []


@pytest.mark.parametrize("block", [block for block in all_blocks("bash") if not block.title], ids=str)
def test_shell_commands_exist_with_these_options(block: Block) -> None:
    found = list(commands(block))
    assert found
    for words in found:
        check_command(words)


@pytest.mark.parametrize("block", [block for block in all_blocks("bash") if block.title], ids=str)
def test_shell_scripts_parse_and_their_commands_exist(block: Block) -> None:
    subprocess.run(["bash", "-n"], input=block.text, text=True, check=True)
    for ways in re.findall(r"what=\((.+)\)", block.text):
        script = block.text.replace('"${what[@]}"', ways).replace("\\\n", " ")
        started = [
            line[line.index("torchrun") :] for line in script.splitlines() if re.match(r"srun .* torchrun ", line)
        ]
        assert len(started) == 1
        check_command(shlex.split(started[0]))


def check_command(words: list[str]) -> None:
    program, *arguments = words
    if program == "torchrun":
        torchrun.parse_args(arguments)
        parse(arguments[arguments.index("mtrack") + 1 :])
    elif program == "mtrack":
        parse(arguments)
    elif words[:4] == ["python", "-m", "pip", "install"] or words[:2] == ["pip", "install"]:
        for extra in re.findall(r"\[(\w+)\]", " ".join(arguments)):
            assert extra in PROJECT["optional-dependencies"], words
    elif words[:2] == ["python", "-m"]:
        assert importlib.util.find_spec(arguments[1]), words
    elif program in ("python", "bash"):
        assert (ROOT / arguments[0]).is_file(), words
    elif "/" in program:
        assert (ROOT / program).is_file(), words
    else:
        assert program in TOOLS, words


@pytest.mark.parametrize("page", WRITTEN, ids=name)
def test_commands_within_sentences_exist(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    known = {entry.name for entry in registry().of("cli")}
    named = re.findall(r"`mtrack ([a-z][\w-]*)((?: [a-z][\w-]*)?)", text)
    assert {command for command, _ in named} - known == set()
    motions = {sub.strip() for command, sub in named if command == "motions" and sub}
    assert motions <= {"import", "make", "info", "view", "check", "pack", "repair", "retarget", "split"}


# ---------------------------------------------------------------- recipes


@pytest.mark.parametrize("block", all_blocks("toml"), ids=str)
def test_toml_is_a_recipe_that_passes_the_checks_or_entry_points_or_a_robot(block: Block, tmp_path: Path) -> None:
    content = tomli.loads(block.text)
    if "joints" in content:
        (tmp_path / "robot.toml").write_text(block.text, "utf-8")
        assert read_description(tmp_path / "robot.toml").joints
        return
    if "project" in content:
        assert set(content["project"]["entry-points"]) <= GROUPS
        return
    base = "" if "extends" in content else 'extends = "g1_tracking_quick.toml"\n'
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(base + block.text, "utf-8")
    files = []
    for python in blocks(block.page, "python"):
        if python.title:
            (tmp_path / python.title).write_text(python.text, "utf-8")
            files.append(str(tmp_path / python.title))
    checked = check_recipe(read_recipe(str(recipe)), Registry.scan(allow=(), files=files))
    assert checked.phases


# ---------------------------------------------------------------- Python


@pytest.mark.parametrize("page", [page for page in WRITTEN if list(blocks(page, "python"))], ids=name)
def test_python_runs(page: Path, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(site)
    if page.name == "export.md":  # its commands come before its Python
        export_policy(demo_run(), Path("runs/demo/export"), ExportOptions(with_motions=True))
    namespace = {"__name__": "page"}  # the blocks of a page follow each other, as in a notebook
    for block in blocks(page, "python"):
        code = compile(block.text, str(block), "exec")
        if block.title:
            (site / block.title).write_text(block.text, "utf-8")
            importlib.import_module(Path(block.title).stem)
        else:
            exec(code, namespace)
