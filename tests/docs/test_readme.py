"""The README, CONTRIBUTING.md, .ci/run and the metadata of the package agree with each other and with the code."""

from __future__ import annotations

import importlib
import re
import runpy
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import tomli
import torch
from pages import GENERATED, ROOT, WRITTEN, blocks

from mtrack.api.kinds import KINDS
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.registry.contract import contract_problems
from mtrack.registry.registry import Registry

README = (ROOT / "README.md").read_text("utf-8")
SCRIPT = (ROOT / ".ci" / "run").read_text("utf-8")
COMPONENTS = ROOT / "docs" / "components.md"
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
MOST_LINES = 120
READING_LIST = 7
PATH = re.compile(r"`((?:mtrack|plugins|recipes|benchmarks|tests|docs|\.ci|\.github)/[\w./-]*)`")


def marked(name: str) -> str:
    """Return the block that README.md marks with `<!-- ci: NAME -->`."""
    found = re.search(rf"^<!-- ci: {name} -->\n```\w*\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert found, f"no block is marked with <!-- ci: {name} -->"
    return found[1]


def test_the_readme_stays_short() -> None:
    assert len(README.splitlines()) <= MOST_LINES


def test_ci_installs_and_tests_with_the_documented_commands() -> None:
    assert marked("install") == 'python -m pip install -c constraints.txt -e ".[dev]" -e deploy\n'
    assert marked("test") == "python -m pytest\n"
    assert "$(marked_command install)" in SCRIPT
    assert "$(marked_command test)" in SCRIPT
    commands = [line for line in SCRIPT.splitlines() if not line.lstrip().startswith("#")]
    assert not [line for line in commands if re.search(r"pip install|pytest", line)], "no second copy that could differ"


@pytest.mark.parametrize("name", ["install", "test"])
def test_ci_finds_the_marked_commands(name: str) -> None:
    function = re.search(r"^marked_command\(\) \{.*?^\}", SCRIPT, re.MULTILINE | re.DOTALL)
    assert function
    command = ["bash", "-c", f"{function[0]}\nmarked_command {name}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == marked(name)


def test_the_workflow_runs_the_ci_script_and_pre_commit_runs_the_same_tools() -> None:
    assert "run: .ci/run\n" in (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    hooks = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    tools = set(re.findall(r"entry: ([\w-]+)", hooks))
    assert tools == {"ruff", "mypy", "lint-imports"}
    assert [tool for tool in sorted(tools) if not re.search(rf"^{tool}\b", SCRIPT, re.MULTILINE)] == []


def test_the_citation_has_the_version_of_the_package() -> None:
    version = tomli.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text("utf-8")


def test_the_package_description_refers_to_no_other_file(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {}
    monkeypatch.setattr("setuptools.setup", given.update)
    runpy.run_path(str(ROOT / "setup.py"))
    text = given["long_description"]
    assert re.findall(r"\]\((?!\w+://)", text) == [], "no relative link"
    assert "![" not in text
    assert "drawn by" not in text, "no caption without its picture"
    assert "See Your motions (`docs/motions.md`)" in text
    kept = [line for line in README.splitlines() if line.startswith(("#", "```", "mtrack "))]
    assert [line for line in kept if line not in text.splitlines()] == [], "headings and commands are all there"


# ---------------------------------------------------------------- what docs/ says about the code


def test_every_path_in_the_documentation_exists() -> None:
    missing = {
        f"{page.name}: {path}"
        for page in WRITTEN
        for path in PATH.findall(page.read_text("utf-8"))
        if not (ROOT / path).exists() and not re.search(r"-v\d$", path)  # an id of Gymnasium
    }
    assert missing == set()


def test_the_drawing_shows_every_folder_of_the_kernel() -> None:
    drawn = set(re.findall(r"^  (\w+)/  ", ARCHITECTURE, re.MULTILINE))
    assert drawn == {folder.parent.name for folder in (ROOT / "mtrack").glob("*/__init__.py")}


def test_the_keys_that_the_kernel_reads_are_listed() -> None:
    table = (ROOT / "docs" / "recipes.md").read_text("utf-8").partition("| key | slots |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == {key for kind in KINDS.values() for key in kind.keys}


def test_the_reading_list_is_numbered() -> None:
    listed = re.findall(r"^(\d)\. `((?:mtrack|plugins)/[\w/]+\.py)`: ", ARCHITECTURE, re.MULTILINE)
    assert [int(number) for number, _ in listed] == list(range(1, READING_LIST + 1))


def test_every_page_is_in_the_navigation_of_the_site() -> None:
    navigation = re.findall(r": ([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.MULTILINE)
    pages = [page for page in (*WRITTEN, *GENERATED) if page.is_relative_to(ROOT / "docs")]
    assert sorted(navigation) == sorted(str(page.relative_to(ROOT / "docs")) for page in pages)


# ---------------------------------------------------------------- the examples of docs/components.md


def example(title: str) -> str:
    return next(block.text for block in blocks(COMPONENTS) if block.title == title)


def test_the_reward_plugin_fulfils_its_contract(site: Path) -> None:
    source = example("my_rewards.py")
    assert sum(bool(line.strip()) for line in source.splitlines()) <= 15
    (site / "my_rewards.py").write_text(source)
    plugin = importlib.import_module("my_rewards")
    assert contract_problems(KINDS["reward"], plugin.Upright) == []
    upright, lying, upside_down = [0.0, 0.0, -1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]
    robot = SimpleNamespace(projected_gravity=torch.tensor([upright, lying, upside_down]))
    best, poor, worst = plugin.Upright()(SimpleNamespace(robot=robot)).tolist()
    assert best == 1.0
    assert 1e-3 < poor < 0.01
    assert worst < 1e-4


def test_the_function_is_a_reward_of_its_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for title in ("my_terms.py", "mine.toml"):
        Path(title).write_text(example(title), "utf-8")
    recipe = check_recipe(read_recipe("mine.toml"), Registry.scan(files=["my_terms.py"]))
    assert recipe.rewards["loco"]["still"].params == {"sigma": 2.0}
