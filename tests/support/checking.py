"""Helpers for tests of checked recipes: they return the problems of a recipe."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mtrack import Recipe, RecipeError
from mtrack.errors import Problem

Check = Callable[..., Recipe]
NEAR = "rewards.task.near"
"""The slot that most tests change."""


def problems(check: Check, more: str = "", *overrides: str, whole: str = "") -> list[Problem]:
    """Return all problems of a recipe; the arguments are those of the fixture `check`."""
    with pytest.raises(RecipeError) as caught:
        check(more, *overrides, whole=whole)
    return caught.value.problems


def problem(check: Check, more: str = "", *overrides: str, whole: str = "") -> Problem:
    """Return the only problem of a recipe."""
    (only,) = problems(check, more, *overrides, whole=whole)
    return only
