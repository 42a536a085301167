"""Functions that check a recipe and return its problems."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mtrack import Recipe, RecipeError
from mtrack.errors import Problem

Check = Callable[..., Recipe]
NEAR = "rewards.task.near"
"""The slot that most tests change."""


def problems(check: Check, more: str = "", *overrides: str, whole: str = "") -> list[Problem]:
    with pytest.raises(RecipeError) as caught:
        check(more, *overrides, whole=whole)
    return caught.value.problems


def problem(check: Check, more: str = "", *overrides: str, whole: str = "") -> Problem:
    (only,) = problems(check, more, *overrides, whole=whole)
    return only
