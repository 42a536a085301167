"""Small environments of recipes, and the check of a whole environment."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor

from mtrack import Recipe
from mtrack.loop.assemble import Assembly, assemble
from mtrack.loop.snapshot import env_state, load_env_state
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.registry.registry import Registry
from mtrack_testing.promises import BrokenPromise, Report
from mtrack_testing.watch import same

_STEPS = 10


def small_recipe(name: str, *overrides: str) -> Recipe:
    """Load and check a recipe by name or path with `key=value` overrides, and return it for its first phase."""
    checked = check_recipe(read_recipe(name, overrides), Registry.scan())
    return checked.for_phase(next(iter(checked.phases)))


def small_task(name: str, *overrides: str) -> Assembly:
    """Return the started environment of a recipe."""
    assembly = assemble(small_recipe(name, *overrides))
    assembly.env.start()
    return assembly


def check_task(name: str, *overrides: str) -> Report:
    """Check the whole environment of a recipe: finite, reproducible from its seed and from a checkpoint.

    Use it for components that depend on others and cannot be checked alone. Raises BrokenPromise.
    """
    first, second, third = (small_task(name, *overrides) for _ in range(3))
    who = f"environment of {name}"
    start = _play(first, 0, _STEPS // 2)
    saved = deepcopy(env_state(first))
    end = _play(first, _STEPS // 2, _STEPS)
    for what, value in (start | end).items():
        if not bool(torch.isfinite(value).all()):
            raise BrokenPromise("finite", who, f"{what} is not finite", "check its components one by one")
    again = _play(second, 0, _STEPS)
    load_env_state(third, saved)
    resumed = _play(third, _STEPS // 2, _STEPS)
    for promise, expected, found in (
        ("same seed, same numbers", start | end, again),
        ("checkpoint", end, resumed),
    ):
        different = next((what for what, value in expected.items() if not same(value, found[what])), "")
        if different:
            raise BrokenPromise(promise, who, f"{different} differs", "declare everything that changes as state()")
    return Report(who, (), ("finite", "same seed, same numbers", "checkpoint"))


def _play(task: Assembly, first: int, last: int) -> dict[str, Tensor]:
    """Return rewards and observations of some steps under random actions, by name."""
    found: dict[str, Tensor] = {}
    for time in range(first, last):
        draw = torch.Generator().manual_seed(time)
        action = 0.3 * torch.randn(task.env.scene.num_envs, task.layout.num_actions, generator=draw)
        step = task.env.step(action)
        found[f"reward of step {time}"] = step.reward.clone()
        for group, value in step.observations.items():
            found[f"observation '{group}' of step {time}"] = torch.as_tensor(value).clone()
    return found
