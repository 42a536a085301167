"""Environment steps a second: mtrack's against Gymnasium's vector environments of one `MjData` and numpy each.

    python -m pip install -e ".[gym]"
    python benchmarks/async_vector_env.py benchmarks/results/async_vector_env.json

Both compute the same task on the same processors: the recipe `g1_tracking_quick`, without what draws random numbers
other than clips and frames. First both are stepped from equal states under equal actions, and every observation, reward
and end of an episode is compared; where they differ, nothing is timed. Then each takes its turn, again and again; the
figures are medians over these rounds. Physics are the same engine calls without anything else. It takes three minutes.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import numpy as np
import torch
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv
from numpy_task import Task, task_of
from numpy_tracking import NumpyTracking
from numpy_verification import Verification
from numpy_workers import Recorded, Several
from record import keep
from rich.console import Console
from rich.table import Table

from mtrack import Recipe
from mtrack.api.device import available_cpus
from mtrack.loop.assemble import Assembly, assemble
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.registry.registry import Registry
from mtrack.run.manifest import manifest
from mtrack_dev.bare_physics import environment

RECIPE, PHASE = "g1_tracking_quick", "train"
NOISY = ("root_rot", "joint_difference", "root_ang_vel", "projected_gravity", "joint_pos")
OVERRIDES = (
    "backend.use=mujoco",
    "command.start_noise=0",
    "action.max_delay=0",
    *(f"observations.policy.{slot}.noise=0" for slot in NOISY),
)
ACTION_SIZE = 0.3  # of the normal actions everything is timed with: that of an untrained policy
VERIFIED_ENVS, VERIFIED_STEPS = 16, 60
SHORT = ("max_episode_steps=25",)  # so that episodes are truncated while both are compared
MTRACK_ENVS = (256, 64)  # the recipe's number, and as many as the most processes below
MTRACK_STEPS = 24 * 256  # environment steps of a round
RECORDED_STEPS = 3000  # control steps of each process, of which the physics are made again
VERIFIED_COLUMNS = ("largest difference / (1 + |value|)", "largest |value|")
PHYSICS, OF_DATA = ", physics alone", "MjData in processes, physics alone"


def checked(*overrides: str) -> Recipe:
    """Return the recipe as it is compared."""
    return check_recipe(read_recipe(RECIPE, [*OVERRIDES, *overrides]), Registry.scan()).for_phase(PHASE)


def vector_envs(task: Task, counts: list[int], processors: int) -> Iterator[tuple[str, Callable[[], VectorEnv]]]:
    """Yield what mtrack is held against: names, and how they are made; all share memory and reset in the worker."""

    def each(num: int) -> list[Callable[[], NumpyTracking]]:
        return [functools.partial(NumpyTracking, task, seed) for seed in range(num)]

    common: dict[str, Any] = {"copy": False, "autoreset_mode": AutoresetMode.SAME_STEP}
    forked = {**common, "context": "fork"}  # memory of the model and of the tables is then shared too
    for num in counts:
        yield f"AsyncVectorEnv, {num} processes", functools.partial(AsyncVectorEnv, each(num), **forked)
    limited = functools.partial(AsyncVectorEnv, each(counts[-1]), max_concurrency=processors, **forked)
    yield f"AsyncVectorEnv, {counts[-1]} processes, {processors} at a time", limited
    share = max(counts) // processors
    blocks = [functools.partial(Several, task, share, 100 * i) for i in range(processors)]
    forked["autoreset_mode"] = AutoresetMode.DISABLED  # the blocks do it
    yield f"AsyncVectorEnv, {processors} processes of {share}", functools.partial(AsyncVectorEnv, blocks, **forked)
    yield f"SyncVectorEnv, {counts[0]}", functools.partial(SyncVectorEnv, each(counts[0]), **common)


def mtrack_rates(assembly: Assembly, draw: torch.Generator) -> dict[str, float]:
    """Return environment steps a second of mtrack's loop, and of its engine calls made again alone."""
    shape = assembly.env.scene.action.shape
    steps = MTRACK_STEPS // shape[0]

    def act(_: object) -> dict[str, torch.Tensor]:
        return {"action": ACTION_SIZE * torch.randn(shape, generator=draw)}

    # all of a stage that `mtrack bench` times its environments with
    slot, phase = SimpleNamespace(train_every=steps), SimpleNamespace(act=act)
    stage: Any = SimpleNamespace(assembly=assembly, slot=slot, phase=phase)
    whole, physics = environment(stage, lambda: None)
    assert physics
    name = f"mtrack, {shape[0]} environments"
    return {name: steps * shape[0] / whole, name + PHYSICS: steps * shape[0] / physics}


def rate(env: VectorEnv, seconds: float, draw: np.random.Generator) -> float:
    """Return environment steps a second of a vector environment, over some seconds."""
    actions = (ACTION_SIZE * draw.standard_normal((32, *env.action_space.shape))).astype(np.float32)
    start, steps = time.perf_counter(), 0
    while (taken := time.perf_counter() - start) < seconds:
        env.step(actions[steps % len(actions)])
        steps += 1
    return steps * int(np.prod(env.action_space.shape[:-1])) / taken


def rounds(recipe: Recipe, task: Task, arguments: argparse.Namespace) -> Iterator[dict[str, float]]:
    """Yield the environment steps a second of each, round by round; before the first everything is warmed up."""
    draw, torch_draw, processors = np.random.default_rng(0), torch.Generator().manual_seed(0), available_cpus()
    with ExitStack() as stack:
        made = vector_envs(task, arguments.counts, processors)
        envs = {name: stack.enter_context(closing(make())) for name, make in made}
        recorded = [functools.partial(Recorded, task, seed) for seed in range(processors)]
        physics = stack.enter_context(closing(AsyncVectorEnv(recorded, context="fork")))
        physics.call("record", RECORDED_STEPS, ACTION_SIZE)
        for env in envs.values():
            env.reset()
            rate(env, 1.0, draw)
        assemblies = [assemble(recipe, PHASE, num_envs=num) for num in MTRACK_ENVS]
        for assembly in assemblies:
            assembly.env.start()
            mtrack_rates(assembly, torch_draw)
        for _ in range(arguments.rounds):
            found: dict[str, float] = {}
            for assembly in assemblies:
                found |= mtrack_rates(assembly, torch_draw)
            found[OF_DATA] = sum(RECORDED_STEPS / taken for taken in physics.call("replay"))
            yield found | {name: rate(env, arguments.seconds, draw) for name, env in envs.items()}


def summary(curve: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Return medians over the rounds by name: steps/s, over those of engine calls alone, how much faster mtrack is."""
    first = next(iter(curve[0]))

    def median(of: Callable[[dict[str, float]], float]) -> float:
        return round(statistics.median(map(of, curve)), 3)

    found: dict[str, dict[str, float]] = {}
    for name in curve[0]:
        found[name] = {"steps_per_s": round(median(lambda one, name=name: one[name]))}
        if not name.endswith(PHYSICS):
            alone = name + PHYSICS if name + PHYSICS in curve[0] else OF_DATA
            found[name]["share_of_physics"] = median(lambda one, name=name, alone=alone: one[name] / one[alone])
            found[name]["mtrack_is_faster_by"] = median(lambda one, name=name: one[first] / one[name])
    return found


def table(title: str, columns: Sequence[str], rows: Mapping[str, Sequence[str]]) -> Table:
    """Return a table for the terminal."""
    shown = Table("", *columns, title=title)
    for name, cells in rows.items():
        shown.add_row(name, *cells)
    return shown


def main() -> None:
    """Compare, time, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--counts", type=int, nargs="+", default=[8, 16, 32, 64], help="environments, one a process")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each vector environment in a round")
    arguments = parser.parse_args()
    recipe, console = checked(), Console(width=100)
    small = assemble(checked(*SHORT), PHASE, num_envs=VERIFIED_ENVS)
    task = task_of(small)
    compared = Verification(small, task).run(VERIFIED_STEPS)
    verified = {name: [f"{of.difference:.1e}", f"{of.value:.3g}"] for name, of in compared.items()}
    console.print(table("numpy against mtrack", VERIFIED_COLUMNS, verified))
    curve = list(rounds(recipe, attrs.evolve(task, max_episode_steps=recipe.max_episode_steps), arguments))
    found = summary(curve)
    rows = {name: [f"{value:,}" for value in of.values()] for name, of in found.items()}
    console.print(table(f"{RECIPE}, {available_cpus()} processors", tuple(found[next(iter(found))]), rows))
    facts = manifest(recipe)
    record = {
        "machine": facts["machine"],
        "distributions": facts["distributions"] | {"gymnasium": metadata.version("gymnasium")},
        "processors": available_cpus(),
        "recipe": recipe.name,
        "overrides": OVERRIDES,
        "verified": {
            "environments": VERIFIED_ENVS,
            "control_steps": VERIFIED_STEPS,
            **{column: {n: float(row[i]) for n, row in verified.items()} for i, column in enumerate(VERIFIED_COLUMNS)},
        },
        "medians": found,
        "columns": list(found),
        "curve": [[round(one[name]) for name in found] for one in curve],
    }
    keep(record, arguments.out)


if __name__ == "__main__":
    main()
