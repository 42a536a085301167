"""`mtrack bench`: how fast a recipe runs here, against what its physics and its matrix products alone would take.

Every ratio is of times taken in one process, in turn, so that a machine that slows down slows both sides.
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
from mtrack_dev.bare_physics import environment, seconds
from mtrack_dev.breakdown import listen, milliseconds
from mtrack_ppo.agent import TeacherStudent
from mtrack_ppo.roofline import matrix_products
from mtrack_ppo.train import Train

_WARM_UP = 2  # iterations before anything is timed: caches, pools, first-use allocations
_ROUNDS, _LONG_S = 5, 60.0  # rounds of which medians are taken; fewer where they take long
_PRODUCT_SECONDS = 0.2  # at least as long is every matrix product repeated
_MB = 1e6


@attrs.frozen(kw_only=True)
class Figures:
    """What was measured of one recipe at one size. None: not to be measured of this backend or this phase."""

    recipe: str
    recipe_sha256: str
    """Of all its values, `num_envs` included; see `mtrack.run.manifest.recipe_sha256`."""
    num_envs: int
    threads: int
    processes: int
    device: str
    backend: str
    """Its full name, e.g. `mtrack:mujoco`."""
    dtype: str | None
    """In which matrix products are computed in training."""
    env_steps_per_s: float
    """Control steps of one environment through the whole environment loop, given the actions."""
    physics_steps_per_s: float | None
    """The same of bare engine calls."""
    env_ratio: float | None
    """env_steps_per_s / physics_steps_per_s."""
    train_frames_per_s: float
    """The same with policy and learning."""
    roofline_frames_per_s: float | None
    """With bare engine calls and the update's bare float32 matrix products."""
    train_ratio: float | None
    """train_frames_per_s / roofline_frames_per_s."""
    rollout_s: float
    """Seconds of an iteration spent acting and stepping."""
    update_s: float
    """Seconds of an iteration spent learning."""
    physics_s: float | None
    """Seconds of an iteration's bare engine calls."""
    products_s: float | None
    """Seconds of an iteration's bare matrix products."""
    memory_mb: float
    """Most memory the process had resident while it trained [MB]."""
    breakdown_ms: dict[str, float]
    """Milliseconds of a control step's parts, `step/...`, and of an update's, `update/...`."""


@attrs.frozen
class Round:
    """Seconds of one iteration, of its environment loop once more, and of the loop's engine calls alone."""

    rollout: float
    update: float
    loop: float
    physics: float | None

    @property
    def training(self) -> float:
        """Seconds of the whole iteration."""
        return self.rollout + self.update


def measure(recipe: Recipe) -> Figures:
    """Return the medians over some rounds of: one iteration of training, its environment loop, its physics."""
    torch.set_num_threads(available_cpus())
    name, device = next(iter(recipe.phases)), recipe.place
    with tempfile.TemporaryDirectory() as folder:
        agent = recipe.agent.build()
        stage = PhaseRun.open(recipe.for_phase(name), name, Path(folder), agent, device, None, [], 0)
        phase, training = stage.phase, Training(stage, name)
        first = sum(training.iteration())
        for _ in range(_WARM_UP - 1 if first < _LONG_S / 2 else 0):
            training.iteration()
        memory = most_memory()
        rounds: list[Round] = []
        started = time.perf_counter()
        while not rounds or (len(rounds) < _ROUNDS and time.perf_counter() - started < _LONG_S):
            rounds.append(Round(*training.iteration(), *environment(stage, training.finish)))
        products = None
        if isinstance(phase, Train) and isinstance(agent, TeacherStudent) and device == "cpu":
            products = _products(matrix_products(agent, phase, training.rows))
        with listen(stage, training.finish) as watch:
            for _ in rounds:
                training.iteration()
    return Figures(
        recipe=Path(recipe.name).name,  # a record holds no path of the machine
        recipe_sha256=recipe_sha256(recipe),
        num_envs=recipe.num_envs,
        threads=available_cpus(),
        processes=num_ranks(),
        device=device,
        backend=recipe.backend.entry.full_name,
        dtype=str(phase.dtype).removeprefix("torch.") if isinstance(phase, Train) else None,
        memory_mb=memory,
        products_s=products,
        breakdown_ms=milliseconds(watch.seconds, stage.slot.train_every * len(rounds), len(rounds)),
        **rates(rounds, products, training.rows),
    )


def rates(rounds: Sequence[Round], products: float | None, steps: int) -> dict[str, Any]:
    """Return medians over rounds of `steps` control steps of one environment each, by the names of the figures."""

    def median(of: Callable[[Round], float]) -> float:
        return statistics.median(of(one) for one in rounds)

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


class Training:
    """Iterations as a run makes them, without loggers and checkpoints."""

    def __init__(self, stage: PhaseRun, name: str, steps: int | None = None) -> None:
        """Take a stage at its start; rollouts of `steps` control steps, or as many as the recipe says."""
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
        self.rows = self.learner.frames_per_iteration
        self._device = stage.assembly.env.scene.device

    def iteration(self) -> tuple[float, float]:
        """Return the seconds of a rollout and of its update."""
        learner, progress = self.learner, self.learner.iteration / self.learner.iterations
        learner.env.set_progress(progress)
        rollout: Any = None

        def collect() -> None:
            nonlocal rollout
            rollout = learner.collect()
            self.finish()

        def update() -> None:
            learner.phase.update(rollout, progress)
            self.finish()

        taken = seconds(collect), seconds(update)
        learner.iteration += 1
        return taken

    def finish(self) -> None:
        """Wait for what the device has yet to do."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)


def most_memory() -> float:
    """Return the most memory this process has had resident [MB]."""
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / _MB


def _products(products: Sequence[tuple[int, int, int, int]]) -> float:
    """Return the seconds of float32 products [m, k] x [k, n], each `count` times."""
    total = 0.0
    for m, k, n, count in products:
        a, b = torch.randn(m, k), torch.randn(k, n)
        out = torch.empty(m, n)
        torch.mm(a, b, out=out)
        product = partial(torch.mm, a, b, out=out)
        times = max(3, int(_PRODUCT_SECONDS / seconds(product)))
        total += count * statistics.median(seconds(product) for _ in range(times))
    return total
