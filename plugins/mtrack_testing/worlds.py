"""The two worlds that components are tried in: the toy robot and the G1."""

from __future__ import annotations

import time
from functools import cache, lru_cache
from typing import Any

import attrs
import mujoco
import torch
from torch import Tensor

from mtrack import Requirements, RobotModel, Scene
from mtrack.loop.assemble import assemble
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.registry.registry import Registry
from mtrack_g1.robot import G1
from mtrack_testing.scenes import feet_of, g1_model, mirror_scene, random_scene
from mtrack_testing.still_backend import FIELDS, StillBackend, compiled_g1
from mtrack_toy.robot import ToyRobot

NUM_ENVS = 11
"""Environments of a trial: a number that no other dimension has, so that their axis can be recognised."""
NUM_TIMED_ENVS = 64
_TIMED_STEPS = 5
# distance of the robot from its reference at each time [m, rad]; once 0, for which careless formulas give NaN
_ERRORS = (0.1, 0.0, 0.3, 0.1)
NUM_STEPS = len(_ERRORS)


@attrs.frozen
class World:
    """A robot, and scenes with it."""

    name: str
    recipe: str
    """Built-in recipe; costs are compared with a whole step of it."""
    max_share: float
    """Largest share of the time of that step that one component may take."""

    @property
    def robot(self) -> Any:
        """The robot component."""
        return G1() if self.name == "g1" else ToyRobot()

    @property
    def model(self) -> RobotModel:
        """Names and numbers of the robot."""
        return g1_model() if self.name == "g1" else toy_model()

    @property
    def compiled(self) -> mujoco.MjModel | None:
        """The robot's compiled model; the toy robot has none."""
        return compiled_g1() if self.name == "g1" else None

    def sensors(self, needs: Requirements) -> tuple[str, ...]:
        """Return the requested contact sensors, with named sets expanded."""
        each = [(body, one) for one in needs.contacts for body in self.model.sets.get(one.body, (one.body,))]
        return tuple(dict.fromkeys(attrs.evolve(one, body=body).name for body, one in each))

    def scene(self, num_envs: int = NUM_ENVS, *, seed: int = 0) -> Scene:
        """Return a new random scene with a still backend that has every field that randomizations use."""
        model, fields = self.model, FIELDS if self.compiled else ()
        feet = feet_of(model) if self.compiled else ()
        backend = StillBackend(self.compiled, num_envs, fields, contact_names=feet, num_bodies=len(model.body_names))
        return random_scene(num_envs, seed=seed, model=model, sensors=feet, backend=backend)

    @cache  # noqa: B019  there are only two worlds
    def step_seconds(self) -> float:
        """Return the time of a whole step of the world's built-in recipe with `NUM_TIMED_ENVS` environments [s]."""
        recipe = check_recipe(read_recipe(self.recipe, [f"num_envs={NUM_TIMED_ENVS}"]), Registry.scan(allow=()))
        env = assemble(recipe.for_phase(next(iter(recipe.phases)))).env
        env.start()
        action = torch.zeros(NUM_TIMED_ENVS, env.action.num_actions)
        times = []
        for _ in range(1 + _TIMED_STEPS):
            started = time.perf_counter()
            env.step(action)
            times.append(time.perf_counter() - started)
        return sorted(times[1:])[_TIMED_STEPS // 2]


TOY_WORLD = World("toy", "toy", max_share=1.0)
G1_WORLD = World("g1", "g1_tracking_quick", max_share=0.25)
WORLDS = (TOY_WORLD, G1_WORLD)


@cache
def toy_model() -> RobotModel:
    """Return the model of the toy robot."""
    return ToyRobot().model()


@lru_cache(maxsize=256)
def content(
    world: World, sensors: tuple[str, ...], time: int, env_ids: tuple[int, ...], mirrored: bool = False
) -> Scene:
    """Return what a scene shows at a time, [len(env_ids)]; equal env_ids are equal environments. Do not change it."""
    count = 1 + max(env_ids)
    whole = random_scene(max(count, NUM_ENVS + 1), seed=time, model=world.model, sensors=sensors, error=_ERRORS[time])
    some = whole.select(torch.tensor(env_ids))
    some.env_ids = torch.arange(len(env_ids))
    return mirror_scene(some) if mirrored else some


def random_actions(time: int, env_ids: tuple[int, ...], width: int) -> Tensor:
    """Return the raw actions of environments at a time, [len(env_ids), width]."""
    draw = torch.Generator().manual_seed(1000 + time)
    return torch.randn(max(*env_ids, 2 * NUM_ENVS) + 1, width, generator=draw)[list(env_ids)]
