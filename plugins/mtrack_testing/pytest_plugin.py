"""Fixtures for tests of components, there wherever mtrack is installed. Imports nothing heavy until one is used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mtrack.scene import Scene


@pytest.fixture
def toy_scene() -> Scene:
    """Return a random scene of 11 toy robots, new for each test: it may be changed."""
    from mtrack_testing import TOY  # noqa: PLC0415

    return TOY.scene()


@pytest.fixture
def g1_scene() -> Scene:
    """Return a random scene of 11 G1s, each off its reference; contact sensors at the feet, every usual model field."""
    from mtrack_testing import WORLD_OF_G1  # noqa: PLC0415

    return WORLD_OF_G1.scene()


@pytest.fixture
def fake_distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """Return a function that installs a distribution for one test.

    `fake_distribution("acme", {"mtrack.rewards": {"near": "acme:Near"}}, {"acme.py": source})` returns the folder it is
    in, which is on the path; what is imported from there is forgotten afterwards.
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
