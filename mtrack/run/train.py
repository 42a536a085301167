"""Trains a recipe in a run directory: `mtrack.train`, which `mtrack run` calls too."""

from __future__ import annotations

import logging
import secrets
import tempfile
import time
from pathlib import Path
from typing import Literal

import attrs
import torch

from mtrack.api.distributed import launchers, process_group, rank, wait_for_all
from mtrack.errors import MtrackError
from mtrack.recipe.checked import Recipe
from mtrack.recipe.phase_order import check_order
from mtrack.run.checkpoint import newest
from mtrack.run.checkpoint_facts import has_any
from mtrack.run.choose_directory import directory_of_all, discard_if_empty
from mtrack.run.fetched import local_run
from mtrack.run.hooks import Hooks
from mtrack.run.manifest import manifest
from mtrack.run.reporting import Reporter
from mtrack.run.resume import STARTED_FROM, continue_facts, find_resume_point, require_own_start, resumed_recipe
from mtrack.run.run import Run
from mtrack.run.run_directory import LOCK_NOTE, locked, require_one_run, short
from mtrack.run.stall import StallWatch
from mtrack.trial.first_step import try_phases
from mtrack.trial.preflight import describe_physics, notes, require_runnable

_log = logging.getLogger("mtrack")


@attrs.frozen
class TrainResult:
    """How a run ended."""

    directory: Path
    """The run directory, absolute."""
    exit_status: int
    """0 if all phases are finished; 130 or 143 if SIGINT or SIGTERM stopped the run after a checkpoint."""

    @property
    def status(self) -> Literal["finished", "interrupted"]:
        """`finished` or `interrupted`; `train(recipe, directory, resume=True)` continues an interrupted run."""
        return "interrupted" if self.exit_status else "finished"


def train(
    recipe: Recipe,
    run_dir: Path | str | None = None,
    *,
    init_from: Path | str | None = None,
    resume: bool = False,
    allow_change: bool = False,
    hooks: Hooks | None = None,
) -> TrainResult:
    """Train every phase of a recipe in order, with checkpoints; all processes of torchrun call this together.

    `run_dir` is a new directory, `runs/NAME-TIME` by default; a program that trains several runs under torchrun must
    give each one its own, so that a restart continues the right one. `init_from` is a run or checkpoint to start from,
    or a reference such as "wandb:ENTITY/PROJECT/RUN".
    With `resume`, `run_dir` is a run to continue from its newest checkpoint, and `recipe` its own
    (`load_recipe(run_dir / "recipe.toml")`); a run that torchrun restarts continues in any case. With `allow_change`,
    it continues even if recipe or versions have changed.
    `hooks` watch the run; by default all that are installed.

    Raises MtrackError if the run cannot start, ComponentError if a component fails, and RunError if nothing was
    learned. Nothing is lost: the last checkpoint is kept.
    """
    require_runnable(recipe)
    if run_dir:
        require_one_run(Path(run_dir))
    hooks = Hooks.load(recipe.registry) if hooks is None else hooks
    start = local_run(init_from).absolute() if init_from else None
    with process_group(recipe.resolved_device):
        if rank() > 0:  # rank 0 does all the reporting
            logging.getLogger("mtrack").setLevel(logging.WARNING)
            hooks = Hooks()
        root, is_restarted = directory_of_all(recipe, run_dir, resume)
        if is_restarted and not resume:
            resume = has_any(root)
            _log.info("torchrun has restarted this run: it %s in %s", "continues" if resume else "starts over", root)
            recipe = resumed_recipe(root, (), recipe.registry, allow_change=allow_change) if resume else recipe
        try:
            with StallWatch(recipe) as watch:
                return TrainResult(root, _run_in(root, recipe, hooks, start, resume, allow_change, watch))
        finally:
            if run_dir is None:
                discard_if_empty(root)  # of a recipe that could not start


def _run_in(
    root: Path,
    recipe: Recipe,
    hooks: Hooks,
    init_from: Path | None,
    resume: bool,
    allow_change: bool,
    watch: StallWatch,
) -> int:
    """Prepare the run directory, or in it that of this process, and run. Returns the exit status."""
    directory = root / "ranks" / str(rank()) if rank() > 0 else root
    facts = manifest(recipe, run_id=secrets.token_hex(4), started=time.strftime("%Y-%m-%dT%H:%M:%S%z"))
    checkpoint, problems = newest(init_from) if init_from else (None, [])
    previous = checkpoint.phase_history[-1] if checkpoint else None
    if not resume:  # before the trial, which takes longer
        check_order(recipe, previous)
    _make_first_step(recipe, previous)  # before anything is written
    _require_writable(directory, resume)
    with locked(directory, launchers()):
        point = None
        is_changed = is_new = False
        if resume:
            wait_for_all("find its checkpoints")
            point = find_resume_point(root, directory, recipe.run.checkpoint_every)
            if point is None:
                if init_from is None:
                    require_own_start(root)
                _log.warning("%s has no checkpoint yet: the run starts over", short(root))
                check_order(recipe, previous)
        if point:
            checkpoint, problems = point.checkpoint, []
            is_changed = continue_facts(root, facts, is_exact=point.is_exact, allow_change=allow_change)
            is_new = not (directory / "recipe.toml").exists()  # there were fewer processes before
        elif checkpoint:
            facts[STARTED_FROM] = {"phase": checkpoint.phase, "iteration": checkpoint.iteration}
        for problem in problems:
            _log.warning("%s", problem)
        if checkpoint:
            _log.info("starting from %s", short(checkpoint.path))
        torch.set_num_threads(facts["processes"]["threads"])
        _log.info("run directory: %s", short(directory))
        _log.info("%s", describe_physics(recipe))
        return Run(
            recipe,
            directory,
            facts,
            Reporter(recipe if rank() == 0 else attrs.evolve(recipe, loggers={}), hooks),
            recipe.resolved_device,
            watch,
            checkpoint,
            resume=point is not None,
            restarts_envs=point is not None and not point.is_exact,
            allow_change=allow_change,
            is_changed=is_changed or is_new,
        ).execute()


def _make_first_step(recipe: Recipe, previous: str | None) -> None:
    """Try every phase, and log what is doubtful. Raises what is wrong."""
    found = try_phases(recipe, recipe.resolved_device, previous)
    unsensed = [f"{problem.path}: {problem.message}" for problem in found.without_sensor]
    for note in (*notes(recipe), *found.notes, *unsensed):
        _log.warning("%s", note)


def _require_writable(directory: Path, resume: bool) -> None:
    """Make the run directory and its folder of checkpoints, and write to both. Raises MtrackError."""
    folder = directory / "checkpoints"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / LOCK_NOTE).touch()
        folder.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".probe.", dir=folder):
            pass
    except OSError as error:
        remedy = "make it writable" if resume else "give another --run-dir"
        raise MtrackError(f"cannot write to {error.filename or directory}: {error.strerror}; {remedy}") from error
