"""Measures how fast a recipe runs, relative to its physics and its matrix products alone.

Both times of a ratio are measured in one process and alternate, so a machine that slows down affects both.
"""

from __future__ import annotations

import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import torch

from mtrack import Recipe, num_ranks
from mtrack.api.device import available_cpus
from mtrack.loop.learner import Learner
from mtrack.run.manifest import recipe_sha256
from mtrack.run.phase_run import PhaseRun
from mtrack_bench.bare_physics import environment, seconds
from mtrack_bench.breakdown import milliseconds, time_parts
from mtrack_ppo.phases import PpoPhase
from mtrack_ppo.roofline import matrix_products

_WARM_UP = 2  # iterations before anything is timed: caches, thread pools, first allocations
_ROUNDS, _LONG_S = 5, 60.0  # rounds whose median is reported; fewer if they take longer than this
_PRODUCT_SECONDS = 0.2  # each matrix product is repeated for about this time
_MB = 1e6


@attrs.frozen(kw_only=True)
class Measurement:
    """The measured speed of one recipe at one size. None: this backend or phase cannot be measured so."""

    recipe: str
    recipe_sha256: str
    """Hash of all its values, `num_envs` included; see `mtrack.run.manifest.recipe_sha256`."""
    num_envs: int
    threads: int
    processes: int
    device: str
    backend: str
    """Full name, e.g. `mtrack:mujoco`."""
    dtype: str | None
    """Data type of the matrix products in training."""
    env_steps_per_s: float
    """Control steps per second, summed over environments, of the environment loop with given actions."""
    physics_steps_per_s: float | None
    """The same of the engine calls alone."""
    env_ratio: float | None
    """env_steps_per_s / physics_steps_per_s."""
    train_frames_per_s: float
    """The same of a whole iteration, with policy and learning."""
    roofline_frames_per_s: float | None
    """The same of the engine calls and the float32 matrix products of the update alone."""
    train_ratio: float | None
    """train_frames_per_s / roofline_frames_per_s."""
    rollout_s: float
    """Seconds per iteration spent on acting and stepping."""
    update_s: float
    """Seconds per iteration spent on learning."""
    physics_s: float | None
    """Seconds per iteration of the engine calls alone."""
    products_s: float | None
    """Seconds per iteration of the matrix products alone."""
    memory_mb: float
    """Peak resident memory of the process while it trained [MB]."""
    breakdown_ms: dict[str, float]
    """Milliseconds of the parts of a control step (`step/...`) and of an update (`update/...`)."""


@attrs.frozen
class BenchRound:
    """Seconds of one iteration, of its environment loop repeated, and of the engine calls of that loop alone."""

    rollout: float
    update: float
    loop: float
    physics: float | None

    @property
    def training(self) -> float:
        """Return the seconds of the whole iteration."""
        return self.rollout + self.update


def measure(recipe: Recipe) -> Measurement:
    """Return the medians over several rounds of one training iteration, its environment loop and its physics."""
    torch.set_num_threads(available_cpus())
    name, device = next(iter(recipe.phases)), recipe.resolved_device
    with tempfile.TemporaryDirectory() as folder:
        agent = recipe.agent.build()
        stage = PhaseRun.open(recipe.for_phase(name), name, Path(folder), agent, device, None, [], 0)
        phase, training = stage.phase, TimedTraining(stage, name)
        first = sum(training.iteration())
        for _ in range(_WARM_UP - 1 if first < _LONG_S / 2 else 0):
            training.iteration()
        memory = most_memory()
        rounds: list[BenchRound] = []
        started = time.perf_counter()
        while not rounds or (len(rounds) < _ROUNDS and time.perf_counter() - started < _LONG_S):
            rounds.append(BenchRound(*training.iteration(), *environment(stage, training.finish)))
        products = matrix_products(phase, training.frames) if device == "cpu" else None
        products_s = None if products is None else _products(products)
        with time_parts(stage, training.finish) as watch:
            for _ in rounds:
                training.iteration()
    return Measurement(
        recipe=Path(recipe.name).name,  # records contain no paths of the machine
        recipe_sha256=recipe_sha256(recipe),
        num_envs=recipe.num_envs,
        threads=available_cpus(),
        processes=num_ranks(),
        device=device,
        backend=recipe.backend.entry.full_name,
        dtype=str(phase.dtype).removeprefix("torch.") if isinstance(phase, PpoPhase) else None,
        memory_mb=memory,
        products_s=products_s,
        breakdown_ms=milliseconds(watch.seconds, stage.slot.train_every * len(rounds), len(rounds)),
        **rates(rounds, products_s, training.frames),
    )


def rates(rounds: Sequence[BenchRound], products: float | None, steps: int) -> dict[str, Any]:
    """Return the medians over rounds by field name; a round has `steps` control steps, summed over environments."""

    def median(value: Callable[[BenchRound], float]) -> float:
        return statistics.median(value(one) for one in rounds)

    found: dict[str, Any] = {
        "rollout_s": median(lambda one: one.rollout),
        "update_s": median(lambda one: one.update),
        "env_steps_per_s": median(lambda one: steps / one.loop),
        "train_frames_per_s": median(lambda one: steps / one.training),
    }
    found |= dict.fromkeys(("physics_s", "physics_steps_per_s", "env_ratio", "roofline_frames_per_s", "train_ratio"))
    bare = statistics.median(one.physics for one in rounds if one.physics) if rounds[0].physics else None
    if bare is not None:
        found |= {"physics_s": bare, "physics_steps_per_s": steps / bare}
        found["env_ratio"] = median(lambda one: (one.physics or 0.0) / one.loop)
    if bare is not None and products is not None:
        found["roofline_frames_per_s"] = steps / (bare + products)
        found["train_ratio"] = median(lambda one: ((one.physics or 0.0) + products) / one.training)
    return found


class TimedTraining:
    """Runs training iterations as a run does, without loggers and checkpoints, and times them."""

    def __init__(self, stage: PhaseRun, name: str, steps: int | None = None) -> None:
        """Start with a new stage; rollouts have `steps` control steps, by default as many as in the recipe."""
        self.learner = Learner(
            env=stage.assembly.env,
            phase=stage.phase,
            name=name,
            train_every=steps or stage.slot.train_every,
            total_frames=stage.slot.frames,
            report=lambda metrics: None,
            save=lambda learner: None,
            should_stop=lambda: False,
        )
        self.frames = self.learner.frames_per_iteration
        """Control steps per iteration, summed over environments."""
        self._device = stage.assembly.env.scene.device

    def iteration(self) -> tuple[float, float]:
        """Return the seconds of a rollout and of its update."""
        learner, progress = self.learner, self.learner.progress
        learner.env.set_progress(progress)
        rollout: Any = None

        def collect() -> None:
            nonlocal rollout
            rollout = learner.collect()
            self.finish()

        def update() -> None:
            learner.phase.update(rollout, progress)
            self.finish()

        times = seconds(collect), seconds(update)
        learner.iteration += 1
        return times

    def finish(self) -> None:
        """Wait until the device has finished."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)


def most_memory() -> float:
    """Return the peak resident memory of this process [MB]."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes per unit of ru_maxrss
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / _MB


def _products(products: Sequence[tuple[int, int, int, int]]) -> float:
    """Return the seconds of float32 products [m, k] x [k, n], each done `count` times."""
    total = 0.0
    for m, k, n, count in products:
        a, b = torch.randn(m, k), torch.randn(k, n)
        out = torch.empty(m, n)
        torch.mm(a, b, out=out)
        product = partial(torch.mm, a, b, out=out)
        times = max(3, int(_PRODUCT_SECONDS / seconds(product)))
        total += count * statistics.median(seconds(product) for _ in range(times))
    return total
