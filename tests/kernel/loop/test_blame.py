"""An error is blamed on the component whose method raised it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from mtrack import MotionError
from mtrack.loop.blame import culprit_of
from mtrack.recipe.slots import Slot


class Robot:
    """A component that is only passed as an argument."""


class Command:
    """A component whose method calls a function with another component as first argument."""

    def bind(self, robot: Robot) -> None:
        collect(robot)


def collect(robot: Robot) -> None:
    """Raise, as if no motion was found."""
    raise MotionError("no motion")


def test_a_component_passed_to_a_failing_function_is_not_blamed() -> None:
    robot, command = Robot(), Command()
    slots = [cast(Slot, SimpleNamespace(path=name)) for name in ("robot", "command")]
    parts: list[tuple[Slot, Any]] = list(zip(slots, (robot, command), strict=True))
    with pytest.raises(MotionError) as caught:
        command.bind(robot)
    assert culprit_of(caught.value, parts) is slots[1]
