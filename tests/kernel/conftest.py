"""Recipes whose components exist only during a test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.fakes import RECIPE, install_parts

from mtrack import Recipe
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.registry.registry import Registry


@pytest.fixture
def check(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Recipe]:
    """Return a function that checks a recipe: `check(text to append, *overrides, whole=text to use instead)`."""
    install_parts(site)
    monkeypatch.chdir(tmp_path)

    def checked(more: str = "", *overrides: str, whole: str = "") -> Recipe:
        file = tmp_path / "my.toml"
        file.write_text(whole or RECIPE + more, "utf-8")
        return check_recipe(read_recipe("my.toml", overrides), Registry.scan())

    return checked
