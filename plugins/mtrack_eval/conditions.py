"""What varies between rollouts: the randomizations that act, what each does and when, and those switched off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mtrack import Recipe
from mtrack.api.lifecycle import AfterSubstep, BeforeStep, BeforeSubstep, Progresses, Resets, Startup
from mtrack.recipe.slots import Slot
from mtrack.recipe.write import inline
from mtrack.registry.plain import plain

_WHEN: dict[type, str] = {
    Startup: "at startup",
    Resets: "on reset",
    BeforeStep: "every step",
    BeforeSubstep: "before every substep",
    AfterSubstep: "after every substep",
    Progresses: "with training progress",
}


def conditions(recipe: Recipe, trained: Recipe, by_clips: bool = True) -> dict[str, Any]:
    """Return what is on in the rollouts of `recipe`, and what is off although it was on in `trained`; JSON-able.

    Terminations are off if clips are scored: metrics decide which rollouts succeed.
    """
    acting = recipe.randomizations
    off = {name: slot for name, slot in trained.randomizations.items() if name not in acting}
    return {
        "scored_by": "clips" if by_clips else "episodes",
        "randomizations": [_described(name, slot) for name, slot in acting.items()],
        "switched_off": [_described(name, slot) for name, slot in off.items()],
        "action_delay_substeps": recipe.action.params.get("max_delay", 0),
        "observation_noise": any(slot.noise > 0 for slot in recipe.slots("observation")),
        "start_noise": recipe.command.params.get("start_noise", 0.0),
        "terminations": [] if by_clips else list(recipe.terminations),
        "seed": recipe.seed,
    }


def task_facts(recipe: Recipe) -> dict[str, Any]:
    """Return what two evaluations must share to be comparable: robot, physics and metrics; JSON-able."""
    return {
        "robot": recipe.robot.entry.full_name,
        "backend": recipe.backend.entry.full_name,
        "control_dt": recipe.control_dt,
        "physics_dt": recipe.physics_dt,
        "metrics": {name: {"use": slot.entry.full_name, **_parameters(slot)} for name, slot in recipe.metrics.items()},
    }


def header(conditions: Mapping[str, Any]) -> Iterator[str]:
    """Yield lines that say what varies between rollouts."""
    delay = conditions["action_delay_substeps"]
    acting = conditions["randomizations"]
    if acting or delay:
        yield "active randomizations:"
    else:
        is_by_clips = conditions["scored_by"] == "clips"
        effect = "all rollouts of a clip are equal" if is_by_clips else "episodes differ only in the command's draws"
        yield f"active randomizations: none, {effect}"
    for randomization in acting:
        yield from _lines(randomization)
    if delay:
        yield f"  action delay, on reset: up to {delay} substeps"
    if conditions["switched_off"]:
        yield "switched off for the evaluation:"
    for randomization in conditions["switched_off"]:
        yield from _lines(randomization)
    switches = {
        "observation noise": conditions["observation_noise"],
        "start noise": conditions["start_noise"] > 0,
        "terminations": bool(conditions["terminations"]),
    }
    shown = "   ".join(f"{name}: {'on' if is_on else 'off'}" for name, is_on in switches.items())
    names = ", ".join(conditions["terminations"])
    yield f"{shown} ({names})" if names else shown


def _described(name: str, slot: Slot) -> dict[str, Any]:
    """Return what a randomization does, when and with which parameters; paths are cut to their last part."""
    return {
        "slot": name,
        "component": slot.entry.full_name,
        "does": next(iter((slot.cls.__doc__ or "").strip().splitlines()), ""),
        "when": [words for protocol, words in _WHEN.items() if issubclass(slot.cls, protocol)],
        "parameters": _parameters(slot),
    }


def _parameters(slot: Slot) -> dict[str, Any]:
    """Return the parameters of a component; paths are cut to their last part."""
    return {key: value.name if isinstance(value, Path) else plain(value) for key, value in slot.params.items()}


def _lines(randomization: Mapping[str, Any]) -> Iterator[str]:
    slot, component = randomization["slot"], randomization["component"]
    name = slot if component == f"mtrack:{slot}" else f"{slot} ({component})"
    when = " and ".join(randomization["when"]) or "when the environments are created"
    yield f"  {name}, {when}: {randomization['does'] or '(no description)'}"
    values = [f"{key} = {inline(value)}" for key, value in randomization["parameters"].items() if value is not None]
    if values:
        yield f"      {', '.join(values)}"
