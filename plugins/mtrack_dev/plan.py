"""`mtrack plan`: how long a recipe would take on this machine, and with how many environments it is fastest."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import torch
from rich.table import Table

from mtrack import MtrackError, Recipe
from mtrack.api.device import available_cpus
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.registry.registry import Registry
from mtrack.run.phase_run import PhaseRun
from mtrack_dev.bench import Training, most_memory
from mtrack_log.text import duration

_SMALLEST, _STEP = 64, 4  # environments of the first trial, and how many times more the next has
_FRAMES = 8192  # about as many has a trial's iteration
_NEARLY = 0.95  # of the highest rate: the fewest environments that reach it are recommended
_MEMORY_SHARE = 0.8  # of the machine's memory that a run may take


@attrs.frozen
class Trial:
    """What was measured of the first phase with some environments."""

    num_envs: int
    frames_per_s: float
    memory_mb: float
    """Most memory of the process so far [MB]."""
    is_whole: bool
    """Whether the rollout had all its steps; a shorter one says nothing of memory."""


@attrs.frozen
class PhasePlan:
    """How long one phase takes."""

    name: str
    frames: int
    frames_per_s: float

    @property
    def seconds(self) -> float:
        """Time it takes [s]."""
        return self.frames / self.frames_per_s


@attrs.frozen
class Plan:
    """What `mtrack plan` says of a recipe here."""

    recipe: str
    device: str
    threads: int
    num_envs: int
    """The recipe's."""
    recommended: int
    """The fewest environments that are nearly as fast as can be, and fit."""
    trials: list[Trial]
    memory_mb: float | None
    """Of a run with the recipe's environments, extrapolated [MB]."""
    is_plain: bool
    """Whether the recipe compiles losses and the trials did not: a run is somewhat faster."""
    phases: list[PhasePlan]
    """With the recipe's environments, or as many as were tried."""


def make_plan(name: str, overrides: Sequence[str], seconds: float, files: Sequence[str] = ()) -> Plan:
    """Return the plan of a recipe (and local `files`) after about `seconds` s of trials.

    Raises MtrackError if it cannot begin.
    """
    registry = Registry.scan(files=files)
    recipe = check_recipe(read_recipe(name, overrides), registry)
    # compiling would take longer than all trials
    compiling = [f"phases.{phase}.compile=false" for phase, slot in recipe.phases.items() if slot.params.get("compile")]
    overrides = [*overrides, *compiling]
    torch.set_num_threads(available_cpus())
    started, trials, sizes = time.perf_counter(), list[Trial](), _sizes(recipe.num_envs)
    agent, taken = None, 0.0
    for num_envs in sizes:
        left = seconds / 2 - (time.perf_counter() - started)  # the other half is for the later phases
        if len(trials) > 1 and left < taken:  # one trial alone recommends nothing, and the first takes the longest
            break
        began = time.perf_counter()
        asked = check_recipe(read_recipe(name, [*overrides, f"num_envs={num_envs}"]), registry)
        agent = asked.agent.build()
        trials.append(_trial(asked, next(iter(asked.phases)), agent, []))
        taken = time.perf_counter() - began
    asked = check_recipe(read_recipe(name, [*overrides, f"num_envs={trials[-1].num_envs}"]), registry)
    rates, earlier = [trials[-1].frames_per_s], list[str]()
    for phase, slot in asked.phases.items():
        if earlier:
            rates.append(_trial(asked, phase, agent, earlier).frames_per_s)
        earlier.append(slot.entry.name)
    return Plan(
        recipe=recipe.name,
        device=recipe.place,
        threads=available_cpus(),
        num_envs=recipe.num_envs,
        recommended=recommended(trials, installed_memory()),
        trials=trials,
        memory_mb=memory_of(trials, recipe.num_envs),
        is_plain=bool(compiling),
        phases=[
            PhasePlan(phase, slot.frames, rate)
            for (phase, slot), rate in zip(recipe.phases.items(), rates, strict=True)
        ],
    )


def recommended(trials: Sequence[Trial], memory_mb: float) -> int:
    """Return the fewest environments that reach nearly the highest rate, among those that fit into memory [MB]."""
    fitting = [t for t in trials if (memory_of(trials, t.num_envs) or 0.0) <= _MEMORY_SHARE * memory_mb] or trials[:1]
    highest = max(trial.frames_per_s for trial in fitting)
    return next(trial.num_envs for trial in fitting if trial.frames_per_s >= _NEARLY * highest)


def memory_of(trials: Sequence[Trial], num_envs: int) -> float | None:
    """Return the memory of so many environments on a line through two trials [MB]; None with fewer."""
    whole = [trial for trial in trials if trial.is_whole]
    measured = next((trial.memory_mb for trial in whole if trial.num_envs == num_envs), None)
    if measured is not None or len(whole) < 2:
        return measured
    first, last = whole[0], whole[-1]
    slope = (last.memory_mb - first.memory_mb) / (last.num_envs - first.num_envs)
    return last.memory_mb + slope * (num_envs - last.num_envs)


def installed_memory() -> float:
    """Return the machine's memory [MB]."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e6


def tables(plan: Plan) -> list[Table]:
    """Return the trials and the phases as tables."""
    tried = Table(title=f"{plan.recipe} on {plan.threads} processors ({plan.device})", title_justify="left")
    for column in ("environments", "frames/s", "memory"):
        tried.add_column(column, justify="right")
    tried.add_column()
    for trial in plan.trials:
        note = "recommended" * (trial.num_envs == plan.recommended)
        memory = _gigabytes(memory_of(plan.trials, trial.num_envs))
        tried.add_row(f"{trial.num_envs:,}", f"{trial.frames_per_s:,.0f}", memory, note)
    if plan.num_envs != plan.trials[-1].num_envs:
        tried.add_row(f"{plan.num_envs:,}", "", _gigabytes(plan.memory_mb), "the recipe's, extrapolated")
    times = Table(caption="without torch.compile, which the recipe uses" if plan.is_plain else None)
    times.add_column("phase")
    for column in ("frames", "frames/s", "time"):
        times.add_column(column, justify="right")
    for phase in plan.phases:
        times.add_row(phase.name, f"{phase.frames:,}", f"{phase.frames_per_s:,.0f}", duration(phase.seconds))
    if len(plan.phases) > 1:
        total = duration(sum(phase.seconds for phase in plan.phases))
        times.add_row("all", f"{sum(phase.frames for phase in plan.phases):,}", "", total)
    return [tried, times]


def _trial(recipe: Recipe, name: str, agent: Any, earlier: Sequence[str]) -> Trial:
    """Carry out two short iterations of a phase and time the second."""
    slot = recipe.phases[name]
    follows = getattr(slot.cls, "follows", (None,))
    if not earlier and None not in follows:
        raise MtrackError(f"phase '{name}' cannot begin a run: plan a recipe that has the phases before it too")
    with tempfile.TemporaryDirectory() as folder:
        stage = PhaseRun.open(recipe.for_phase(name), name, Path(folder), agent, recipe.place, None, earlier, 0)
        steps = max(4, min(slot.train_every, _FRAMES // recipe.num_envs))
        training = Training(stage, name, steps)
        training.iteration()
        seconds = sum(training.iteration())
    return Trial(recipe.num_envs, training.rows / seconds, most_memory(), steps == slot.train_every)


def _sizes(num_envs: int) -> list[int]:
    """Return the numbers of environments to try, up to the recipe's."""
    sizes = [_SMALLEST * _STEP**power for power in range(8)]
    return [*(size for size in sizes if size < num_envs), num_envs]


def _gigabytes(megabytes: float | None) -> str:
    return "-" if megabytes is None else f"{megabytes / 1000:.1f} GB"
