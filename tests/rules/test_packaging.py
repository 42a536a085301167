"""What pyproject.toml and constraints.txt promise exists, and they agree with each other."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import tomli

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomli.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
POINTS = [(group, name, value) for group, points in PROJECT["entry-points"].items() for name, value in points.items()]
NO_COMPONENTS = ("mtrack.cli", "mtrack.hooks", "pytest11")
COMPONENTS = [point for point in POINTS if point[0] not in NO_COMPONENTS]
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
    "module",
    [
        *(f"mtrack.{name}" for name in LIGHT),
        *(value.partition(":")[0] for group, _, value in POINTS if group in ("mtrack.cli", "pytest11")),
    ],
)
def test_what_every_command_and_every_pytest_imports_is_light(module: str) -> None:
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


def test_the_licence_travels_with_the_distribution() -> None:
    files = {file.name for file in metadata.files("mtrack") or ()}
    assert {"LICENSE", "NOTICE"} <= files
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Unitree Robotics" in (ROOT / "NOTICE").read_text(encoding="utf-8")
