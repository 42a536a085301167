"""`mtrack bench`: how fast a recipe runs here, against what its physics and its matrix products alone would take.

Every ratio is of times taken in one process, in turn, so that a machine that slows down slows both sides.
"""

from __future__ import annotations

import copy
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import torch
import typer

from mtrack.errors import MtrackError
from mtrack.learner import Learner, rollout_mode
from mtrack.processors import own_processors
from mtrack.recipe import load_recipe
from mtrack.registry import Registry
from mtrack.snapshot import env_state, load_env_state
from mtrack.stage import Stage
from mtrack.structure import Recipe, check_recipe
from mtrack_mujoco.backend import MujocoBackend
from mtrack_mujoco.replay import Recording
from mtrack_ppo.agent import TeacherStudent
from mtrack_ppo.roofline import matrix_products
from mtrack_ppo.train import Train

_DEFAULT_ENVS = 256  # the size the budgets are stated for
_WARM_UP = 2  # iterations before anything is timed: caches, pools, first-use allocations
_PRODUCT_SECONDS = 0.2  # at least as long is every matrix product repeated


@attrs.frozen
class Figures:
    """What `mtrack bench --json` prints."""

    physics_steps_per_s: float
    """Control steps of one environment, bare engine calls."""
    env_steps_per_s: float
    """The same through the whole environment loop."""
    train_frames_per_s: float
    """The same with policy and learning."""
    roofline_frames_per_s: float
    """With bare engine calls and the update's bare float32 matrix products."""
    env_ratio: float
    """env_steps_per_s / physics_steps_per_s."""
    train_ratio: float
    """train_frames_per_s / roofline_frames_per_s."""
    num_envs: int
    threads: int
    dtype: str
    """In which matrix products are computed in training."""
    rollout_s: float
    """Seconds of an iteration spent acting and stepping."""
    update_s: float
    """Seconds of an iteration spent learning."""
    physics_s: float
    """Seconds of an iteration's bare engine calls."""
    products_s: float
    """Seconds of an iteration's bare matrix products."""


def run_bench(recipe: str, overrides: Sequence[str], as_json: bool, rounds: int = 5) -> None:
    """Measure and print. Raises MtrackError where the recipe does not run on `mujoco` with `train`."""
    if not any(override.startswith("num_envs=") for override in overrides):
        overrides = [*overrides, f"num_envs={_DEFAULT_ENVS}"]
    figures = measure(check_recipe(load_recipe(recipe, overrides), Registry.scan()), rounds)
    if as_json:
        typer.echo(json.dumps(attrs.asdict(figures), indent=2))
        return
    for field in attrs.fields(Figures):
        value = getattr(figures, field.name)
        typer.echo(f"{field.name:24} {value:,.3f}" if isinstance(value, float) else f"{field.name:24} {value}")


def measure(recipe: Recipe, rounds: int) -> Figures:
    """Return the medians over some rounds of: one iteration of training, its environment loop, its physics."""
    torch.set_num_threads(own_processors())
    name = next(iter(recipe.phases))
    with tempfile.TemporaryDirectory() as folder:
        agent = recipe.agent.build()
        stage = Stage.open(recipe.for_phase(name), name, Path(folder), agent, "cpu", None, None, 0)
        phase, backend = stage.phase, stage.assembly.env.backend
        if not (isinstance(phase, Train) and isinstance(backend, MujocoBackend) and isinstance(agent, TeacherStudent)):
            raise MtrackError("bench knows only backend 'mujoco', agent 'teacher_student' and phase 'train'")
        train = _Training(stage, name)
        for _ in range(_WARM_UP):
            train.iteration()
        taken = [(*train.iteration(), *_environment(stage, backend)) for _ in range(rounds)]
        products = _products(matrix_products(agent, phase, train.rows))
    rollout, update, loop, physics = (statistics.median(column) for column in zip(*taken, strict=True))
    steps = train.rows  # control steps of one environment in an iteration
    return Figures(
        physics_steps_per_s=steps / physics,
        env_steps_per_s=steps / loop,
        train_frames_per_s=steps / (rollout + update),
        roofline_frames_per_s=steps / (physics + products),
        env_ratio=statistics.median(bare / whole for _, _, whole, bare in taken),
        train_ratio=statistics.median((bare + products) / (r + u) for r, u, _, bare in taken),
        num_envs=recipe.num_envs,
        threads=own_processors(),
        dtype=str(phase.dtype).removeprefix("torch."),
        rollout_s=rollout,
        update_s=update,
        physics_s=physics,
        products_s=products,
    )


class _Training:
    """Iterations as a run makes them, without loggers and checkpoints."""

    def __init__(self, stage: Stage, name: str) -> None:
        self.learner = Learner(
            env=stage.assembly.env,
            phase=stage.phase,
            name=name,
            train_every=stage.slot.train_every,
            total_frames=stage.slot.frames,
            report=lambda metrics: None,
            save=lambda learner: None,
            should_stop=lambda: False,
        )
        self.rows = self.learner.frames_per_iteration

    def iteration(self) -> tuple[float, float]:
        """Return the seconds of a rollout and of its update."""
        learner, progress = self.learner, self.learner.iteration / self.learner.iterations
        learner.env.set_progress(progress)
        rollout: Any = None

        def collect() -> None:
            nonlocal rollout
            rollout = learner.collect()

        taken = _seconds(collect), _seconds(lambda: learner.phase.update(rollout, progress))
        learner.iteration += 1
        return taken


def _environment(stage: Stage, backend: MujocoBackend) -> tuple[float, float]:
    """Return the seconds of the environment loop over a rollout, and of its engine calls alone, made again."""
    env, actions = stage.assembly.env, []
    before = copy.deepcopy(env_state(stage.assembly))
    num_envs = env.scene.num_envs
    with rollout_mode(num_envs), Recording(backend) as recording:
        for _ in range(stage.slot.train_every):
            actions.append(stage.phase.act(env.observations)["action"])
            env.step(actions[-1])
    load_env_state(stage.assembly, before)

    def loop() -> None:
        for action in actions:
            env.step(action)

    with rollout_mode(num_envs):
        whole = _seconds(loop)
    reached = recording.state()
    recording.rewind()
    bare = _seconds(recording.replay)
    if not torch.equal(reached, recording.state()):
        raise RuntimeError("the engine calls made again led to another state: the measurement is void")
    return whole, bare


def _products(products: Sequence[tuple[int, int, int, int]]) -> float:
    """Return the seconds of float32 products [m, k] x [k, n], each `count` times."""
    total = 0.0
    for m, k, n, count in products:
        a, b = torch.randn(m, k), torch.randn(k, n)
        out = torch.empty(m, n)
        torch.mm(a, b, out=out)
        product = partial(torch.mm, a, b, out=out)
        times = max(3, int(_PRODUCT_SECONDS / _seconds(product)))
        total += count * statistics.median(_seconds(product) for _ in range(times))
    return total


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
