"""Makes a vector environment from a recipe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mtrack import MtrackError
from mtrack.errors import did_you_mean
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.registry.registry import Registry
from mtrack_gym.vector_env import VectorEnv


def make(
    recipe: str | Path,
    num_envs: int | None = None,
    *,
    overrides: Sequence[str] = (),
    seed: int | None = None,
    device: str | None = None,
    phase: str = "",
    groups: Sequence[str] = ("policy",),
    as_dict: bool = False,
    to_numpy: bool = True,
    frames: int | None = None,
) -> VectorEnv:
    """Return the environments of a recipe, by name or path, as they are in one of its phases (empty: the first).

    `overrides` are those of `mtrack run --set`: `["command.start_noise=0"]`. If `num_envs`, `seed` or `device` is None,
    the recipe's value is used. For the other arguments see `VectorEnv`. Raises MtrackError or RecipeError for errors
    that the caller can fix.
    """
    given = {"seed": seed, "device": device}
    lines = [*overrides, *(f"{key}={value}" for key, value in given.items() if value is not None)]
    checked = check_recipe(read_recipe(recipe, lines), Registry.scan())
    phase = phase or next(iter(checked.phases))
    if phase not in checked.phases:
        raise MtrackError(f"{checked.name} has no phase '{phase}'; {did_you_mean(phase, checked.phases)}")
    return VectorEnv(
        checked.for_phase(phase),
        phase,
        num_envs=num_envs,
        groups=groups,
        as_dict=as_dict,
        to_numpy=to_numpy,
        frames=frames,
    )
