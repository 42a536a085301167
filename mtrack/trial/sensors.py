"""Finds observations that the robot's actor reads, but that the robot cannot sense."""

from __future__ import annotations

from typing import Any

from mtrack.api.abilities import NeedsSensors, RunsOnRobot
from mtrack.errors import Problem
from mtrack.loop.assemble import Assembly
from mtrack.recipe.checked import Recipe

_ANYWHERE = "simulation"


def without_sensor(recipe: Recipe, assembly: Assembly, agent: Any) -> list[Problem]:
    """Return a problem for each observation of the robot's actor that its sensors cannot provide.

    Observations that do not declare their sensors pass, and so do agents that do not declare what their actor reads.
    """
    found: list[Problem] = []
    sensors = assembly.env.scene.model.sensors
    groups = agent.robot_groups() if isinstance(agent, RunsOnRobot) else ()
    for group in groups:
        for slot in recipe.observations.get(group, {}).values():
            observation = assembly.components[slot.path]
            needed = observation.sensors if isinstance(observation, NeedsSensors) else ()
            missing = [name for name in needed if name not in sensors]
            if missing:
                found.append(_problem(recipe, slot.path, group, missing, sensors))
    return found


def _problem(recipe: Recipe, path: str, group: str, missing: list[str], sensors: tuple[str, ...]) -> Problem:
    has = ", ".join(sensors)
    if _ANYWHERE in missing:
        message = f"only the simulation knows this, no robot can sense it; but the robot's actor reads '{group}'"
        hint = "move it to a privileged group"
    else:
        message = f"the robot's actor reads '{group}', but the robot has no {' or '.join(missing)} (it has {has})"
        hint = "move it to a privileged group, or add the sensor to [robot] sensors if yours has it"
    place, line = recipe.source.origin(path)
    return Problem(path, message, hint, place, line)
