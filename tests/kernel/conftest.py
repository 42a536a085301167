"""A folder for distributions that exist for one test, and recipes made of such components."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.fakes import RECIPE, install_parts

from mtrack.recipe import load_recipe
from mtrack.registry import Registry
from mtrack.structure import Recipe, check_recipe


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder on the path; what a test imports from it is forgotten afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    known = set(sys.modules)
    yield folder
    for name in set(sys.modules) - known:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(folder)):
            del sys.modules[name]


@pytest.fixture
def check(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Recipe]:
    """Return a function that checks a recipe: `check(text after the usual one, *overrides, whole=text instead)`."""
    install_parts(site)
    monkeypatch.chdir(tmp_path)

    def checked(more: str = "", *overrides: str, whole: str = "") -> Recipe:
        file = tmp_path / "my.toml"
        file.write_text(whole or RECIPE + more, "utf-8")
        return check_recipe(load_recipe("my.toml", overrides), Registry.scan())

    return checked
