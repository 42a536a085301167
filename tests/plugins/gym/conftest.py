"""Fixtures: toy environments of the adapter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mtrack_gym import VectorEnv, make


@pytest.fixture
def toy() -> Iterator[Callable[..., VectorEnv]]:
    """Return a function that makes 5 toy environments; they are closed afterwards."""
    made: list[VectorEnv] = []

    def build(*overrides: str, num_envs: int = 5, **options: Any) -> VectorEnv:
        made.append(make("toy", num_envs, overrides=overrides, **options))
        return made[-1]

    yield build
    for env in made:
        env.close()
