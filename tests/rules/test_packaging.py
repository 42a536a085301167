"""What pyproject.toml, constraints.txt, README.md and .ci/run promise is there, and they agree with each other."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tomli
import torch
from typer.main import get_group

from mtrack.api.kinds import KINDS
from mtrack.cli import app
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.registry.contract import contract_problems
from mtrack.registry.registry import Registry

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomli.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
README = (ROOT / "README.md").read_text(encoding="utf-8")
POINTS = [(group, name, value) for group, points in PROJECT["entry-points"].items() for name, value in points.items()]
NO_COMPONENTS = ("mtrack.cli", "mtrack.hooks", "pytest11")
COMPONENTS = [point for point in POINTS if point[0] not in NO_COMPONENTS]
READING_ORDER = [
    "cli/run",
    "recipe/load",
    "loop/assemble",
    "loop/learner",
    "loop/env",
    "api/protocols",
    "run/checkpoint",
]
LIGHT = [
    *("errors", "api.kinds", "api.fields", "api.schedule", "registry.registry", "recipe.load", "recipe.lines"),
    *("recipe.checked", "cli"),
]
COMMANDS = sorted({value.partition(":")[0] for group, _, value in POINTS if group == "mtrack.cli"})
HEAVY = {"torch", "numpy", "mujoco"}


def load(value: str) -> Any:
    module, _, attribute = value.partition(":")
    target = importlib.import_module(module)
    return getattr(target, attribute) if attribute else target


@pytest.mark.parametrize(("group", "name", "value"), POINTS, ids=lambda text: text)
def test_every_entry_point_leads_somewhere(group: str, name: str, value: str) -> None:
    target = load(value)
    if group in NO_COMPONENTS:
        assert target is not None
    else:
        assert isinstance(target, type), f"{name} of {group} is a class"


def test_every_component_explains_itself_in_one_line() -> None:
    classes = {
        value: getattr(importlib.import_module(value.partition(":")[0]), value.partition(":")[2])
        for *_, value in COMPONENTS
    }
    silent = [value for value, cls in classes.items() if not (cls.__doc__ or "").strip()]
    assert silent == []


@pytest.mark.parametrize(
    "module", [f"mtrack.{name}" for name in LIGHT] + [v.partition(":")[0] for g, _, v in POINTS if g == "mtrack.cli"]
)
def test_what_every_command_imports_is_light(module: str) -> None:
    code = f"import sys, {module}; sys.stdout.write(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert HEAVY & set(done.stdout.split()) == set()


def test_only_one_name_goes_on_the_path() -> None:
    assert list(PROJECT["scripts"]) == ["mtrack"]


def test_every_direct_dependency_and_no_other_is_pinned_within_its_range() -> None:
    pins = dict(
        re.findall(r"^([\w.-]+)==([\w.]+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    )
    wanted = [
        *PROJECT["dependencies"],
        *(line for extra in PROJECT["optional-dependencies"].values() for line in extra),
    ]
    names = {re.match(r"[\w.-]+", line)[0] for line in wanted}  # type: ignore[index]
    assert names - pins.keys() == set(), "every one is pinned"
    assert pins.keys() - names - {"mujoco-warp"} == set(), "and nothing else"
    assert pins["mujoco"] not in ("4.0.0",)


def block(name: str) -> str:
    found = re.search(rf"^<!-- ci: {name} -->\n```\w*\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert found, f"README.md marks no block with <!-- ci: {name} -->"
    return found[1]


def test_ci_installs_and_tests_with_the_readme_s_own_commands() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert block("install") == 'python -m pip install -c constraints.txt -e ".[dev]"\n'
    assert block("test") == "python -m pytest\n"
    assert "$(readme_command install)" in script
    assert "$(readme_command test)" in script
    commands = [line for line in script.splitlines() if not line.lstrip().startswith("#")]
    assert not [line for line in commands if re.search(r"pip install|pytest", line)], "no second copy that could drift"


def test_ci_reads_the_readme_as_people_do() -> None:
    function = re.search(
        r"^readme_command\(\) \{.*?^\}", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert function
    for name in ("install", "test"):
        done = subprocess.run(
            ["bash", "-c", f"{function[0]}\nreadme_command {name}"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == block(name)


def test_the_readme_names_seven_files_in_reading_order() -> None:
    listed = re.findall(r"^\d\. \[`mtrack/([\w/]+)\.py`\]\((mtrack/[\w/]+\.py)\)", README, re.MULTILINE)
    assert [name for name, _ in listed] == READING_ORDER
    assert [link for _, link in listed if not (ROOT / link).exists()] == []


def test_every_command_in_the_readme_exists() -> None:
    known = get_group(app).list_commands(None)  # type: ignore[arg-type]
    named = set(re.findall(r"(?:^|`)mtrack ([a-z][a-z-]+)", README, re.MULTILINE)) - {"trains"}
    assert {"run", "doctor"} <= named
    assert named - set(known) == set()


def test_the_reward_plugin_of_the_readme_fulfils_its_contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = next(block for block in blocks("python") if "class Upright" in block)
    assert sum(bool(line.strip()) for line in source.splitlines()) <= 15
    (tmp_path / "readme_plugin.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    plugin = importlib.import_module("readme_plugin")
    assert contract_problems(KINDS["reward"], plugin.Upright) == []
    upright, lying, upside_down = [0.0, 0.0, -1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]
    robot = SimpleNamespace(projected_gravity=torch.tensor([upright, lying, upside_down]))
    best, poor, worst = plugin.Upright()(SimpleNamespace(robot=robot)).tolist()
    assert best == 1.0
    assert 1e-3 < poor < 0.01
    assert worst < 1e-4


def test_the_function_of_the_readme_is_a_reward_of_its_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my_terms.py").write_text(next(block for block in blocks("python") if "def still" in block), "utf-8")
    Path("mine.toml").write_text(next(block for block in blocks("toml") if "# mine.toml" in block), "utf-8")
    recipe = check_recipe(read_recipe("mine.toml"), Registry.scan(files=["my_terms.py"]))
    assert recipe.rewards["loco"]["still"].params == {"sigma": 2.0}


def blocks(language: str) -> list[str]:
    """Return the code blocks of README.md in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_licence_travels_with_the_distribution() -> None:
    files = {file.name for file in metadata.files("mtrack") or ()}
    assert {"LICENSE", "NOTICE"} <= files
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Unitree Robotics" in (ROOT / "NOTICE").read_text(encoding="utf-8")
