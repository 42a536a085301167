"""Pytest fixtures for tests of components; heavy imports happen only if a fixture is used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mtrack import Scene


@pytest.fixture
def toy_scene() -> Scene:
    """Return a random scene of 11 toy robots; it is new in each test, so tests may change it."""
    from mtrack_testing import TOY_WORLD  # noqa: PLC0415

    return TOY_WORLD.scene()


@pytest.fixture
def g1_scene() -> Scene:
    """Return a random scene of 11 G1s off their references, with contact sensors at the feet and all model fields."""
    from mtrack_testing import G1_WORLD  # noqa: PLC0415

    return G1_WORLD.scene()


@pytest.fixture
def fake_distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """Return a function that installs a distribution for one test.

    `fake_distribution("acme", {"mtrack.rewards": {"near": "acme:Near"}}, {"acme.py": source})` returns its folder,
    which is on the path during the test. Modules imported from there are unloaded afterwards.
    """
    from mtrack_testing import install  # noqa: PLC0415

    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    known = set(sys.modules)

    def installed(*arguments: object, **named: object) -> Path:
        install(site, *arguments, **named)  # type: ignore[arg-type]
        return site

    yield installed
    for name in set(sys.modules) - known:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(site)):
            del sys.modules[name]
