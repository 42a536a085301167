"""`mtrack plan`: estimates how long a recipe takes on this machine and which number of environments is fastest."""

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
from mtrack_bench.measure import TimedTraining, most_memory
from mtrack_log.text import duration

_SMALLEST, _STEP = 64, 4  # environments of the first sample, and the factor to the next
_FRAMES = 8192  # about the frames of one iteration of a sample
_NEARLY = 0.95  # share of the highest rate that the recommended number of environments must reach
_MEMORY_SHARE = 0.8  # share of the memory of the machine that a run may use


@attrs.frozen
class SpeedSample:
    """The measured speed of one phase with some number of environments."""

    num_envs: int
    frames_per_s: float
    memory_mb: float
    """Peak memory of the process so far [MB]."""
    is_whole: bool
    """Whether the rollout was not shortened; the memory of a shorter one is not representative."""


@attrs.frozen
class PhasePlan:
    """The estimated duration of one phase."""

    name: str
    frames: int
    frames_per_s: float

    @property
    def seconds(self) -> float:
        """Return the duration [s]."""
        return self.frames / self.frames_per_s


@attrs.frozen
class RecipePlan:
    """The estimate that `mtrack plan` prints."""

    recipe: str
    device: str
    threads: int
    num_envs: int
    """Environments of the recipe."""
    recommended: int
    """The fewest environments that nearly reach the highest rate and fit into memory."""
    samples: list[SpeedSample]
    memory_mb: float | None
    """Memory of a run with the environments of the recipe, extrapolated [MB]."""
    is_plain: bool
    """Whether the recipe compiles losses, which samples do not: a run is somewhat faster."""
    may_end_early: bool
    """Whether a phase has an `until`."""
    phases: list[PhasePlan]
    """Phases with the environments of the recipe, or with as many as were measured."""


def make_plan(name: str, overrides: Sequence[str], seconds: float, files: Sequence[str] = ()) -> RecipePlan:
    """Measure a recipe (with local `files`) for about `seconds` s and return the estimate.

    Raises MtrackError if the recipe cannot start.
    """
    registry = Registry.scan(files=files)
    recipe = check_recipe(read_recipe(name, overrides), registry)
    # compiling would take longer than all samples
    compiling = [f"phases.{phase}.compile=false" for phase, slot in recipe.phases.items() if slot.params.get("compile")]
    overrides = [*overrides, *compiling]
    torch.set_num_threads(available_cpus())
    started, samples, sizes = time.perf_counter(), list[SpeedSample](), _sizes(recipe.num_envs)
    agent, elapsed = None, 0.0
    for num_envs in sizes:
        left = seconds / 2 - (time.perf_counter() - started)  # the other half is for later phases
        if len(samples) > 1 and left < elapsed:  # one sample cannot be compared, and the first one takes longest
            break
        begin = time.perf_counter()
        sized = check_recipe(read_recipe(name, [*overrides, f"num_envs={num_envs}"]), registry)
        agent = sized.agent.build()
        samples.append(_measure(sized, next(iter(sized.phases)), agent, []))
        elapsed = time.perf_counter() - begin
    sized = check_recipe(read_recipe(name, [*overrides, f"num_envs={samples[-1].num_envs}"]), registry)
    rates, earlier = [samples[-1].frames_per_s], list[str]()
    for phase, slot in sized.phases.items():
        if earlier:
            rates.append(_measure(sized, phase, agent, earlier).frames_per_s)
        earlier.append(slot.entry.name)
    return RecipePlan(
        recipe=recipe.name,
        device=recipe.resolved_device,
        threads=available_cpus(),
        num_envs=recipe.num_envs,
        recommended=recommended(samples, installed_memory()),
        samples=samples,
        memory_mb=memory_of(samples, recipe.num_envs),
        is_plain=bool(compiling),
        may_end_early=any(slot.until and slot.until.enabled for slot in recipe.phases.values()),
        phases=[
            PhasePlan(phase, slot.frames, rate)
            for (phase, slot), rate in zip(recipe.phases.items(), rates, strict=True)
        ],
    )


def recommended(samples: Sequence[SpeedSample], memory_mb: float) -> int:
    """Return the fewest environments that reach nearly the highest rate, among those that fit into memory [MB]."""
    fitting = [t for t in samples if (memory_of(samples, t.num_envs) or 0.0) <= _MEMORY_SHARE * memory_mb] or samples[
        :1
    ]
    highest = max(sample.frames_per_s for sample in fitting)
    return next(sample.num_envs for sample in fitting if sample.frames_per_s >= _NEARLY * highest)


def memory_of(samples: Sequence[SpeedSample], num_envs: int) -> float | None:
    """Extrapolate the memory of `num_envs` environments from two samples [MB]; None if there are fewer."""
    whole = [sample for sample in samples if sample.is_whole]
    measured = next((sample.memory_mb for sample in whole if sample.num_envs == num_envs), None)
    if measured is not None or len(whole) < 2:
        return measured
    first, last = whole[0], whole[-1]
    slope = (last.memory_mb - first.memory_mb) / (last.num_envs - first.num_envs)
    return last.memory_mb + slope * (num_envs - last.num_envs)


def installed_memory() -> float:
    """Return the memory of the machine [MB]."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e6


def tables(plan: RecipePlan) -> list[Table]:
    """Return the samples and the phases as tables."""
    speeds = Table(title=f"{plan.recipe} on {plan.threads} CPUs ({plan.device})", title_justify="left")
    for column in ("environments", "frames/s", "memory"):
        speeds.add_column(column, justify="right")
    speeds.add_column()
    for sample in plan.samples:
        note = "recommended" if sample.num_envs == plan.recommended else ""
        memory = _gigabytes(memory_of(plan.samples, sample.num_envs))
        speeds.add_row(f"{sample.num_envs:,}", f"{sample.frames_per_s:,.0f}", memory, note)
    if plan.num_envs != plan.samples[-1].num_envs:
        speeds.add_row(f"{plan.num_envs:,}", "", _gigabytes(plan.memory_mb), "as in the recipe, extrapolated")
    remarks = ["without torch.compile, which the recipe uses"] if plan.is_plain else []
    remarks += ["at most: a phase with `until` may end earlier"] if plan.may_end_early else []
    times = Table(caption="; ".join(remarks) or None)
    times.add_column("phase")
    for column in ("frames", "frames/s", "time"):
        times.add_column(column, justify="right")
    for phase in plan.phases:
        times.add_row(phase.name, f"{phase.frames:,}", f"{phase.frames_per_s:,.0f}", duration(phase.seconds))
    if len(plan.phases) > 1:
        total = duration(sum(phase.seconds for phase in plan.phases))
        times.add_row("all", f"{sum(phase.frames for phase in plan.phases):,}", "", total)
    return [speeds, times]


def _measure(recipe: Recipe, name: str, agent: Any, earlier: Sequence[str]) -> SpeedSample:
    """Run two short iterations of a phase and time the second."""
    slot = recipe.phases[name]
    follows = getattr(slot.cls, "follows", (None,))
    if not earlier and None not in follows:
        raise MtrackError(f"phase '{name}' cannot be the first: plan a recipe that also has the phases before it")
    with tempfile.TemporaryDirectory() as folder:
        phase_run = PhaseRun.open(
            recipe.for_phase(name), name, Path(folder), agent, recipe.resolved_device, None, earlier, 0
        )
        steps = max(4, min(slot.train_every, _FRAMES // recipe.num_envs))
        training = TimedTraining(phase_run, name, steps)
        training.iteration()
        seconds = sum(training.iteration())
    return SpeedSample(recipe.num_envs, training.frames / seconds, most_memory(), steps == slot.train_every)


def _sizes(num_envs: int) -> list[int]:
    """Return the numbers of environments to measure, up to that of the recipe."""
    sizes = [_SMALLEST * _STEP**power for power in range(8)]
    return [*(size for size in sizes if size < num_envs), num_envs]


def _gigabytes(megabytes: float | None) -> str:
    return "-" if megabytes is None else f"{megabytes / 1000:.1f} GB"
